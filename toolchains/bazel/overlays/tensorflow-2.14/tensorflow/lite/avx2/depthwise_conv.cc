#include "tensorflow/lite/avx2/begin.h"
#include "tensorflow/lite/kernels/depthwise_conv.cc"
#pragma clang attribute pop
