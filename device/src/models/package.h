// Reads compiled models: from the file to the programs in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/program.h"
#include "models/result.h"

namespace coral_device {

// Programs that are still being made.
using DraftPrograms = std::vector<std::shared_ptr<Program>>;

// The programs of one custom operator. `options` are its custom options, as in the model's file.
Result<DraftPrograms> ReadPackage(const std::string& model, size_t package, const uint8_t* options,
                                  size_t size);

}  // namespace coral_device
