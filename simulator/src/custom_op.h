#ifndef CORALFORGE_SIMULATOR_CUSTOM_OP_H_
#define CORALFORGE_SIMULATOR_CUSTOM_OP_H_

#include "devices.h"
#include "tensorflow/lite/c/common.h"

namespace coralforge {

// To be called for a node that the delegate takes over. Where the custom op was in the resolver too, the node
// never runs again and its mark has no memory any more, but TensorFlow Lite would still reset it, and fail.
void Retire(TfLiteContext* context, const TfLiteNode& node, const TfLiteRegistration& registration);

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_CUSTOM_OP_H_
