// Which kernels an operator has: those for AVX2 where the processor has it.
#include "tensorflow/lite/core/c/common.h"

// Upstream's own functions are compiled under another name (BUILD.bazel).
#define CHOOSE(name)                                                                                   \
  namespace tflite::ops::builtin_avx2 {                                                                \
  TfLiteRegistration* name();                                                                          \
  }                                                                                                    \
  namespace tflite::ops::builtin {                                                                     \
  TfLiteRegistration* name##_SSE4();                                                                   \
  TfLiteRegistration* name() {                                                                         \
    return __builtin_cpu_supports("avx2") ? builtin_avx2::name() : name##_SSE4();                      \
  }                                                                                                    \
  }

CHOOSE(Register_ADD)
CHOOSE(Register_AVERAGE_POOL_2D)
CHOOSE(Register_DEPTHWISE_CONV_2D)
CHOOSE(Register_MAX_POOL_2D)
