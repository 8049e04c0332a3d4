// Where the elements of an output lie on the wire, from either of the two forms in which a package says it.
#pragma once

#include <string>

#include "core/layer.h"
#include "models/package_generated.h"

namespace coral_device {

// Fills in `places` of a layer that is read but for them. Returns what is wrong, as the end of a sentence.
std::string ReadPlaces(const package::Layer& layer, const package::OutputLayer& output, Layer* read);

}  // namespace coral_device
