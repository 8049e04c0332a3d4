// Reads compiled models: from the file to the programs in it.
#pragma once

#include <string>

#include "core/program.h"
#include "models/result.h"

namespace coral_device {

// The programs of one custom operator. `options` are its custom options, as in the model's file.
Result<Programs> ReadPackage(const std::string& model, size_t package, const uint8_t* options, size_t size);

}  // namespace coral_device
