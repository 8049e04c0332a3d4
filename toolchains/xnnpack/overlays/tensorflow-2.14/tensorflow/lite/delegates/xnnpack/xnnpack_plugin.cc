// The delegate as TensorFlow Lite's external delegate loads it:
// TfLiteExternalDelegateCreate, or load_delegate in Python. It takes one
// option, num_threads.
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "tensorflow/lite/core/c/common.h"
#include "tensorflow/lite/delegates/xnnpack/xnnpack_delegate.h"
#include "tensorflow/lite/logger.h"

namespace {

bool ParseThreads(const char* text, int* threads) {
  char* end = nullptr;
  errno = 0;
  const long value = std::strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || value < 0 || value > INT_MAX) return false;
  *threads = static_cast<int>(value);
  return true;
}

}  // namespace

extern "C" {

TFL_CAPI_EXPORT TfLiteDelegate* tflite_plugin_create_delegate(const char* const* keys,
                                                              const char* const* values, size_t count,
                                                              void (*report_error)(const char*)) {
  const auto refuse = [report_error](const char* text) -> TfLiteDelegate* {
    if (report_error != nullptr) report_error(text);
    return nullptr;
  };
  TfLiteXNNPackDelegateOptions options = TfLiteXNNPackDelegateOptionsDefault();
  for (size_t i = 0; i < count; ++i) {
    if (std::strcmp(keys[i], "num_threads") != 0) return refuse("XNNPACK: the only option is num_threads");
    if (!ParseThreads(values[i], &options.num_threads)) return refuse("XNNPACK: num_threads is not a number");
  }
  // That it was made is no news for a program that asked for it. The logger is
  // this library's own.
  tflite::LoggerOptions::SetMinimumLogSeverity(tflite::TFLITE_LOG_WARNING);
  TfLiteDelegate* delegate = TfLiteXNNPackDelegateCreate(&options);
  return delegate != nullptr ? delegate : refuse("XNNPACK does not run on this processor");
}

TFL_CAPI_EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  TfLiteXNNPackDelegateDelete(delegate);
}

}  // extern "C"
