// The handler of "edgetpu-custom-op" nodes. It refuses all of them, and says why: what the Edge TPU compiler
// makes is machine code for the chip, and there is no chip here.
#include <algorithm>
#include <cstring>

#include "edgetpu.h"

namespace {

// What the node carries; kept from Init, which sees the payload, to Prepare, which may report errors.
enum class Payload { kHardware, kUnknown };

const Payload kPayloads[] = {Payload::kHardware, Payload::kUnknown};

// The compiled package is a flatbuffer with the identifier DWN1, inside a flexbuffer.
Payload Classify(const char* data, size_t length) {
  static const char kMark[] = {'D', 'W', 'N', '1'};
  if (data == nullptr) return Payload::kUnknown;
  const char* end = data + length;
  return std::search(data, end, std::begin(kMark), std::end(kMark)) == end ? Payload::kUnknown
                                                                           : Payload::kHardware;
}

void* Init(TfLiteContext*, const char* buffer, size_t length) {
  return const_cast<Payload*>(&kPayloads[static_cast<int>(Classify(buffer, length))]);
}

void Free(TfLiteContext*, void*) {}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  if (context->GetExternalContext(context, kTfLiteEdgeTpuContext) == nullptr) {
    context->ReportError(context, "Failed to retrieve TPU context.");
    return kTfLiteError;
  }
  const bool hardware =
      node->user_data != nullptr && *static_cast<const Payload*>(node->user_data) == Payload::kHardware;
  context->ReportError(
      context, hardware
                   ? "This model is compiled for Edge TPU hardware, but this libedgetpu is the SIMULATED "
                     "one and cannot run it. Use the direct or throttled library, or the uncompiled model."
                   : "The Edge TPU operation in this model holds no program that the SIMULATED libedgetpu "
                     "knows; the file may be damaged.");
  return kTfLiteError;
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode*) {
  context->ReportError(context, "The SIMULATED libedgetpu has nothing to run: this node was never prepared.");
  return kTfLiteError;
}

}  // namespace

namespace edgetpu {

TfLiteRegistration* RegisterCustomOp() {
  static TfLiteRegistration registration = [] {
    TfLiteRegistration r{};
    r.init = Init;
    r.free = Free;
    r.prepare = Prepare;
    r.invoke = Invoke;
    return r;
  }();
  return &registration;
}

}  // namespace edgetpu
