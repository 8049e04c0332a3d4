#include "delegate.h"

#include <cstring>
#include <utility>
#include <vector>

#include "custom_op.h"

namespace coralforge {
namespace {

// The delegate's kernel is the custom op's; only its init differs, since it is handed the nodes it replaces
// and has to look up their payload.
void* InitKernel(TfLiteContext* context, const char* buffer, size_t) {
  const auto* params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (params->nodes_to_replace->size != 1 ||
      context->GetNodeAndRegistration(context, params->nodes_to_replace->data[0], &node, &registration) !=
          kTfLiteOk) {
    return nullptr;
  }
  return InitInPlaceOf(context, *node);
}

TfLiteStatus FindCustomOps(TfLiteContext* context, std::vector<int>* found) {
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  for (int i = 0; i < plan->size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != kTfLiteOk) {
      return kTfLiteError;
    }
    if (registration->custom_name != nullptr &&
        std::strcmp(registration->custom_name, edgetpu::kCustomOp) == 0) {
      found->push_back(plan->data[i]);
    }
  }
  return kTfLiteOk;
}

TfLiteStatus Replace(TfLiteContext* context, TfLiteDelegate* delegate, int node_index) {
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, node_index, &node, &registration) != kTfLiteOk) {
    return kTfLiteError;
  }
  Retire(context, *node, *registration);

  TfLiteRegistration kernel = *edgetpu::RegisterCustomOp();
  kernel.init = InitKernel;
  kernel.custom_name = "SimulatedEdgeTpuDelegate";
  kernel.version = 1;
  TfLiteIntArray* nodes = TfLiteIntArrayCreate(1);
  nodes->data[0] = node_index;
  const TfLiteStatus status =
      context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, nodes, delegate);
  TfLiteIntArrayFree(nodes);
  return status;
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteDelegate* delegate) {
  context->SetExternalContext(context, kTfLiteEdgeTpuContext,
                              static_cast<edgetpu::EdgeTpuContext*>(delegate->data_));
  // All indices first: replacing a node changes the plan.
  std::vector<int> nodes;
  if (FindCustomOps(context, &nodes) != kTfLiteOk) return kTfLiteError;
  for (int node : nodes) {
    if (Replace(context, delegate, node) != kTfLiteOk) return kTfLiteError;
  }
  return kTfLiteOk;
}

struct Delegate : TfLiteDelegate {
  explicit Delegate(std::shared_ptr<edgetpu::EdgeTpuContext> shared)
      : TfLiteDelegate{}, context(std::move(shared)) {
    this->data_ = context.get();
    this->Prepare = coralforge::Prepare;
    this->flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  }

  const std::shared_ptr<edgetpu::EdgeTpuContext> context;
};

}  // namespace

TfLiteDelegate* CreateDelegate(std::shared_ptr<edgetpu::EdgeTpuContext> context) {
  return context == nullptr ? nullptr : new Delegate(std::move(context));
}

void FreeDelegate(TfLiteDelegate* delegate) { delete static_cast<Delegate*>(delegate); }

}  // namespace coralforge
