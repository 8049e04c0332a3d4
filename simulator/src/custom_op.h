#ifndef CORALFORGE_SIMULATOR_CUSTOM_OP_H_
#define CORALFORGE_SIMULATOR_CUSTOM_OP_H_

#include "tensorflow/lite/c/common.h"

namespace coralforge {

// What init() of RegisterCustomOp() does, for a kernel that takes the place of `replaced`. TensorFlow Lite
// gives such a kernel the same tensors, but in the order of their numbers and without those that are left
// out, so the operation keeps to the order of the node that was compiled.
void* InitInPlaceOf(TfLiteContext* context, const TfLiteNode& replaced);

// To be called for a node that the delegate takes over. Where the custom op was in the resolver too, the node
// never runs again and its mark has no memory any more, but TensorFlow Lite would still reset it, and fail.
void Retire(TfLiteContext* context, const TfLiteNode& node, const TfLiteRegistration& registration);

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_CUSTOM_OP_H_
