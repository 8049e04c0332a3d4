#include "core/program.h"

namespace coral_device {

bool Chunk::Matches(const uint8_t* sent) const {
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i] != sent[i] && !patched[i]) return false;
  }
  return true;
}

}  // namespace coral_device
