// What the two variables of the environment may say.
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "devices.h"
#include "gtest/gtest.h"

namespace coralforge {
namespace {

using edgetpu::DeviceType;

std::vector<std::string> Paths(const std::string& text) {
  std::vector<DeviceRecord> devices;
  std::string error;
  EXPECT_TRUE(ParseDevices(text, &devices, &error)) << error;
  std::vector<std::string> paths;
  for (const auto& device : devices) paths.push_back(device.path);
  return paths;
}

TEST(ParseDevices, CountsThemInTheirOrder) {
  EXPECT_EQ(Paths(""), std::vector<std::string>());
  EXPECT_EQ(Paths("usb:1"), std::vector<std::string>({"SIMULATED:usb:0"}));
  EXPECT_EQ(Paths("pci:1,usb:2"),
            std::vector<std::string>({"SIMULATED:pci:0", "SIMULATED:usb:0", "SIMULATED:usb:1"}));
  EXPECT_EQ(Paths("usb:16,pci:16").size(), 32u);
}

TEST(ParseDevices, RefusesEverythingElse) {
  for (const char* text : {"usb",         "usb:",   "usb:0",  "usb:17",       "usb:-1",
                           "usb: 1",      "usb:1x", "USB:1",  "nvme:1",       ":1",
                           ",",           "usb:1,", ",usb:1", "usb:1,,pci:1", "usb:1,usb:1",
                           "usb:1;pci:1", " usb:1", "usb:1 ", "usb:001",      "usb:99999999999999999999"}) {
    std::vector<DeviceRecord> devices;
    std::string error;
    EXPECT_FALSE(ParseDevices(text, &devices, &error)) << text;
    EXPECT_TRUE(devices.empty()) << text;
    EXPECT_NE(error.find("is not usb:COUNT or pci:COUNT"), std::string::npos) << error;
  }
}

TEST(ParseDevices, DoesNotRepeatAWholeNovel) {
  std::vector<DeviceRecord> devices;
  std::string error;
  EXPECT_FALSE(ParseDevices(std::string(100000, 'x'), &devices, &error));
  EXPECT_LT(error.size(), 300u);
}

DeviceState Parse(const std::string& text, std::string* wrong) {
  std::istringstream lines(text);
  return ParseControl(lines, {DeviceType::kApexUsb, "SIMULATED:usb:1"}, wrong);
}

TEST(ParseControl, FindsTheDevice) {
  const std::vector<std::pair<std::string, DeviceState>> cases = {
      {"", DeviceState::kPresent},
      {"\n\n# unplug usb:1\n", DeviceState::kPresent},
      {"unplug usb:0\nbusy pci:1\n", DeviceState::kPresent},
      {"unplug usb:1", DeviceState::kUnplugged},
      {"  busy\tusb:1  # for a while\r\n", DeviceState::kBusy},
      {"busy usb:1\nunplug usb:1\n", DeviceState::kUnplugged},
      {"unplug usb:1\nbusy usb:1\n", DeviceState::kUnplugged},  // what is not there cannot be busy
      {"unplug usb:10\nunplug usb:11\n", DeviceState::kPresent},
  };
  for (const auto& [text, state] : cases) {
    std::string wrong;
    EXPECT_EQ(Parse(text, &wrong), state) << text;
    EXPECT_EQ(wrong, "") << text;
  }
}

TEST(ParseControl, NamesWrongLinesAndGoesOn) {
  std::string wrong;
  EXPECT_EQ(Parse("eject usb:1\nunplug\nbusy usb:1 now\nunplug usb:1\n", &wrong), DeviceState::kUnplugged);
  EXPECT_EQ(wrong, "'eject usb:1', 'unplug', 'busy usb:1 now'");
}

TEST(StateOf, NeedsNoFile) {
  const DeviceRecord device{DeviceType::kApexUsb, "SIMULATED:usb:0"};
  unsetenv("CORALFORGE_SIMULATED_CONTROL");
  EXPECT_EQ(StateOf(device), DeviceState::kPresent);
  setenv("CORALFORGE_SIMULATED_CONTROL", "/nonexistent/control", 1);
  EXPECT_EQ(StateOf(device), DeviceState::kPresent);
  setenv("CORALFORGE_SIMULATED_CONTROL", "/", 1);  // a folder
  EXPECT_EQ(StateOf(device), DeviceState::kPresent);
  unsetenv("CORALFORGE_SIMULATED_CONTROL");
}

}  // namespace
}  // namespace coralforge
