// Debian compiles armhf packages without NEON, so these archives have none of ruy's kernels for it. Their headers
// must not ask for them, although TensorFlow Lite is compiled with NEON.
#pragma once
#include_next "ruy/platform.h"
#undef RUY_PLATFORM_NEON
#define RUY_PLATFORM_NEON 0
