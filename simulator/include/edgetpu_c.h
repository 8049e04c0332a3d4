// The C interface of libedgetpu.so.1, declared in coralforge's own words.
//
// The names, types and calling conventions are those that programs written for the Edge TPU runtime are
// compiled against; the text is ours, because libedgetpu's own headers are not at hand everywhere.
#ifndef CORALFORGE_EDGETPU_C_H_
#define CORALFORGE_EDGETPU_C_H_

#include <stddef.h>

#include "tensorflow/lite/c/common.h"

#ifndef EDGETPU_EXPORT
#define EDGETPU_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

// How a device is attached to this machine.
enum edgetpu_device_type {
  EDGETPU_APEX_PCI = 0,  // PCIe or M.2, through the apex kernel driver
  EDGETPU_APEX_USB = 1,  // USB accelerator
};

// One device; `path` lives as long as the list that it came in.
struct edgetpu_device {
  enum edgetpu_device_type type;
  const char* path;
};

// One option by name, for example "Performance" = "Max".
struct edgetpu_option {
  const char* name;
  const char* value;
};

// Lists the devices. Returns one allocation, to be given to edgetpu_free_devices(); NULL when there are none.
EDGETPU_EXPORT struct edgetpu_device* edgetpu_list_devices(size_t* num_devices);

// Frees what edgetpu_list_devices() returned; NULL is fine.
EDGETPU_EXPORT void edgetpu_free_devices(struct edgetpu_device* dev);

// Opens a device and makes the delegate that runs "edgetpu-custom-op" nodes on it. `name` is a device's path,
// or NULL for any of that type. Options are read during the call only. Returns NULL when no device can be
// opened.
EDGETPU_EXPORT TfLiteDelegate* edgetpu_create_delegate(enum edgetpu_device_type type, const char* name,
                                                       const struct edgetpu_option* options,
                                                       size_t num_options);

// Frees the delegate, after the interpreter that used it is gone; closes the device with its last user.
EDGETPU_EXPORT void edgetpu_free_delegate(TfLiteDelegate* delegate);

// Sets how much the library logs: 0 (default) to 10.
EDGETPU_EXPORT void edgetpu_verbosity(int verbosity);

// Describes the library; the text is the library's own and must not be freed.
EDGETPU_EXPORT const char* edgetpu_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // CORALFORGE_EDGETPU_C_H_
