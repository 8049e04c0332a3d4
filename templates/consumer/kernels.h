// Whose kernels run what is on the CPU: TensorFlow Lite's own, or XNNPACK's, which are faster and round in
// another way.
#ifndef CORAL_KERNELS_H_
#define CORAL_KERNELS_H_

#include <dlfcn.h>

#include <memory>
#include <string>

#include "cli.h"
#include "tensorflow/lite/c/common.h"

#define CORAL_CPU_USAGE                                                                                 \
  "  --cpu KERNELS   for what runs on the CPU: builtin (default), or xnnpack where the bundle has it; " \
  "faster,\n"                                                                                           \
  "                  and quantized values may differ by some steps\n"

namespace coral {

enum class Kernels { kBuiltin, kXnnpack };

inline Kernels TakeKernels(Arguments& arguments) {
  const std::string word = arguments.TakeOption("--cpu", "builtin");
  if (word == "builtin") return Kernels::kBuiltin;
  if (word == "xnnpack") return Kernels::kXnnpack;
  throw Failure(kUsage, "--cpu is builtin or xnnpack, not '" + Printable(word) + "'");
}

using OwnedDelegate = std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)>;

// TensorFlow Lite's delegate for XNNPACK, from its library beside the others: a bundle may have none, so
// nothing is linked with it. Throws Failure where it cannot be had.
inline OwnedDelegate CreateXnnpack(int threads) {
  constexpr char kLibrary[] = "libtensorflowlite_xnnpack.so";
  // It stays: its threads may end after the delegate.
  void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Failure(kCannotRun, std::string("there is no XNNPACK here (cpu.xnnpack in coralforge's "
                                          "pipeline.yaml), leave out --cpu xnnpack: ") +
                                  Printable(dlerror()));
  }
  using Create = TfLiteDelegate* (*)(const char* const*, const char* const*, size_t, void (*)(const char*));
  using Destroy = void (*)(TfLiteDelegate*);
  const auto create = reinterpret_cast<Create>(dlsym(library, "tflite_plugin_create_delegate"));
  const auto destroy = reinterpret_cast<Destroy>(dlsym(library, "tflite_plugin_destroy_delegate"));
  const std::string count = std::to_string(threads);
  const char* const keys[] = {"num_threads"};
  const char* const values[] = {count.c_str()};
  if (create == nullptr || destroy == nullptr) {
    throw Failure(kCannotRun, std::string(kLibrary) + " is not what its name says");
  }
  OwnedDelegate delegate(create(keys, values, 1, nullptr), destroy);
  if (delegate == nullptr) throw Failure(kCannotRun, "XNNPACK does not run on this processor");
  return delegate;
}

}  // namespace coral

#endif  // CORAL_KERNELS_H_
