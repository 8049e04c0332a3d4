// The models that the device was given: each a compiled one and the plain one it came from.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/program.h"
#include "models/plain.h"
#include "models/result.h"

namespace coral_device {

class Library {
 public:
  // Adds a pair of files. Returns what is wrong with them, empty if nothing is.
  std::string Add(const std::string& compiled, const std::string& plain);

  const Programs& programs() const { return programs_; }
  // Not for two threads at once.
  std::string Compute(const Program& program, const Tensors& inputs, Tensors* outputs);

 private:
  std::string AddPackage(const std::string& name, const Bytes& plain, const uint8_t* options, size_t size);
  std::string AddPart(Program* program, const Bytes& plain);

  Programs programs_;
  std::map<const Program*, std::unique_ptr<PlainPart>> parts_;
  size_t packages_ = 0;
};

}  // namespace coral_device
