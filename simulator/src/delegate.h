// A delegate that owns its share of an open device.
#ifndef CORALFORGE_SIMULATOR_DELEGATE_H_
#define CORALFORGE_SIMULATOR_DELEGATE_H_

#include <memory>

#include "edgetpu.h"

namespace coralforge {

// Returns null when `context` is null.
TfLiteDelegate* CreateDelegate(std::shared_ptr<edgetpu::EdgeTpuContext> context);

void FreeDelegate(TfLiteDelegate* delegate);

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_DELEGATE_H_
