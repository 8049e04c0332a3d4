#include "tensorflow/lite/avx2/begin.h"
#include "tensorflow/lite/kernels/pooling.cc"
#pragma clang attribute pop
