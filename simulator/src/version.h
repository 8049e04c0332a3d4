// What this library says of itself.
#ifndef CORALFORGE_SIMULATOR_VERSION_H_
#define CORALFORGE_SIMULATOR_VERSION_H_

// The build offers the commit of the TensorFlow Lite that this library belongs to. Without it the stamp says
// "unknown", which the gate does not take for a match.
#if __has_include("coralforge_stamp.h")
#include "coralforge_stamp.h"
#endif
#ifndef CORALFORGE_TENSORFLOW_COMMIT
#define CORALFORGE_TENSORFLOW_COMMIT "unknown"
#endif

namespace coralforge {

// In the form of the real library's text, so that whoever looks for the commit finds it in both.
constexpr char kVersion[] =
    "SIMULATED (coralforge, no hardware), BuildLabel(TENSORFLOW_COMMIT=" CORALFORGE_TENSORFLOW_COMMIT
    "), RuntimeVersion(14)";

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_VERSION_H_
