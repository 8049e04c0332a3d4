// The payload of an "edgetpu-custom-op" that is compiled for the simulator (format CFSIM1, see
// docs/models.md).
#ifndef CORALFORGE_SIMULATOR_PAYLOAD_H_
#define CORALFORGE_SIMULATOR_PAYLOAD_H_

#include <cstddef>
#include <string>

namespace coralforge {

// The sub-model inside the payload's bytes: a .tflite file, at any alignment.
struct SubModel {
  const char* data = nullptr;
  size_t size = 0;
};

// Finds the sub-model in `size` bytes from anywhere. Returns what is wrong with them, as a sentence for the
// user; "" when they are whole.
std::string ReadPayload(const char* data, size_t size, SubModel* found);

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_PAYLOAD_H_
