// libFuzzer: any bytes are a payload, or give a sentence that says why they are none.
//
// Fuzzed is what we do ourselves until the sub-model is known to be a model: finding it, the checks of its
// tables (TensorFlow Lite's verifier and ours) and whether it has state. Kernels are not run: a payload with
// a fitting checksum is what a compiler wrote, and its operators are trusted as those of any .tflite file
// are.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "payload.h"
#include "payload_maker.h"
#include "program.h"

namespace coralforge {
namespace {

void Try(const std::string& payload) {
  // Of exactly that size, so that AddressSanitizer sees a byte too many.
  const std::unique_ptr<char[]> exact(new char[payload.size()]);
  std::memcpy(exact.get(), payload.data(), payload.size());
  SubModel found;
  const std::string error = ReadPayload(exact.get(), payload.size(), &found);
  if (error.empty() && (found.data < exact.get() || found.data + found.size > exact.get() + payload.size())) {
    std::abort();
  }
  Program program(exact.get(), payload.size());
  program.HasState();
}

}  // namespace
}  // namespace coralforge

// libFuzzer's runtime was built against a C library that is newer than the platform's, whose headers turn
// strtoul into this name.
extern "C" unsigned long __isoc23_strtoul(const char* text, char** end, int base) {
  return std::strtoul(text, end, base);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  coralforge::Try(bytes);
  if (size >= 12) coralforge::Try(coralforge::WithChecksum(bytes));
  coralforge::PayloadParts parts;
  parts.model = bytes;
  coralforge::Try(coralforge::MakePayload(parts));
  return 0;
}
