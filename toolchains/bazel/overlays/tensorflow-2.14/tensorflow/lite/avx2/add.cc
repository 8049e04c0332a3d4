#include "tensorflow/lite/avx2/begin.h"
#include "tensorflow/lite/kernels/add.cc"
#pragma clang attribute pop
