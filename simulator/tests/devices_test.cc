// Finding and opening devices, as any program does.
#include <atomic>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "testing.h"

namespace coralforge {
namespace {

using edgetpu::DeviceType;
using edgetpu::EdgeTpuContext;
using edgetpu::EdgeTpuManager;
using Options = EdgeTpuManager::DeviceOptions;
using Paths = std::vector<std::string>;

EdgeTpuManager* Manager() { return EdgeTpuManager::GetSingleton(); }

Paths Enumerated() {
  Paths paths;
  for (const auto& record : Manager()->EnumerateEdgeTpu()) paths.push_back(record.path);
  return paths;
}

// "" for null.
template <typename Pointer>
std::string PathOf(const Pointer& context) {
  return context == nullptr ? "" : context->GetDeviceEnumRecord().path;
}

using Devices = SimulatorTest;

TEST_F(Devices, AreThoseThatTheVariableNames) {
  EXPECT_EQ(Enumerated(), Paths({"SIMULATED:usb:0", "SIMULATED:usb:1", "SIMULATED:pci:0"}));
  EXPECT_EQ(Manager()->EnumerateEdgeTpu()[0].type, DeviceType::kApexUsb);
  EXPECT_EQ(Manager()->EnumerateEdgeTpu()[2].type, DeviceType::kApexPci);
  setenv("CORALFORGE_SIMULATED_DEVICES", "pci:1", 1);
  EXPECT_EQ(Enumerated(), Paths({"SIMULATED:pci:0"}));
  for (const char* none : {"", "usb"}) {
    setenv("CORALFORGE_SIMULATED_DEVICES", none, 1);
    EXPECT_EQ(Enumerated(), Paths());
  }
  unsetenv("CORALFORGE_SIMULATED_DEVICES");
  EXPECT_EQ(Enumerated(), Paths());
}

TEST_F(Devices, AreListedAlikeInC) {
  size_t count = 99;
  edgetpu_device* list = edgetpu_list_devices(&count);
  ASSERT_EQ(count, 3u);
  EXPECT_STREQ(list[1].path, "SIMULATED:usb:1");
  EXPECT_EQ(list[1].type, EDGETPU_APEX_USB);
  EXPECT_STREQ(list[2].path, "SIMULATED:pci:0");
  EXPECT_EQ(list[2].type, EDGETPU_APEX_PCI);
  edgetpu_free_devices(list);

  unsetenv("CORALFORGE_SIMULATED_DEVICES");
  EXPECT_EQ(edgetpu_list_devices(&count), nullptr);
  EXPECT_EQ(count, 0u);
  edgetpu_free_devices(nullptr);
}

TEST_F(Devices, ThatAreWrittenWronglyAreSaidOnce) {
  setenv("CORALFORGE_SIMULATED_DEVICES", "usb:said-once", 1);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Enumerated(), Paths());
  EXPECT_EQ(
      testing::internal::GetCapturedStderr(),
      "SIMULATED Edge TPU: no devices, because CORALFORGE_SIMULATED_DEVICES is wrong: 'usb:said-once' is "
      "not usb:COUNT or pci:COUNT, each at most once, with COUNT from 1 to 16 (example: usb:2,pci:1)\n");
}

TEST_F(Devices, WithoutAPlaceForTheirNumberAreNotListed) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(edgetpu_list_devices(nullptr), nullptr);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("SIMULATED"), std::string::npos);
}

TEST_F(Devices, HaveNamesOfTypes) {
  std::ostringstream text;
  text << DeviceType::kApexPci << ", " << DeviceType::kApexUsb << ", " << static_cast<DeviceType>(7);
  EXPECT_EQ(text.str(), "Apex (PCIe), Apex (USB), Unknown");
}

TEST_F(Devices, HaveALibraryThatSaysWhatItIs) {
  const std::string version = edgetpu_version();
  EXPECT_EQ(version, Manager()->Version());
  EXPECT_EQ(version.find("SIMULATED"), 0u) << version;
  EXPECT_NE(version.find("BuildLabel(TENSORFLOW_COMMIT="), std::string::npos) << version;
  EXPECT_NE(version.find("RuntimeVersion(14)"), std::string::npos) << version;
}

using Opening = SimulatorTest;

TEST_F(Opening, TakesPciFirst) {
  EXPECT_EQ(PathOf(Manager()->OpenDevice()), "SIMULATED:pci:0");
  EXPECT_EQ(PathOf(Manager()->NewEdgeTpuContext()), "SIMULATED:pci:0");
  EXPECT_EQ(PathOf(Manager()->OpenDevice(DeviceType::kApexUsb)), "SIMULATED:usb:0");
  setenv("CORALFORGE_SIMULATED_DEVICES", "usb:1", 1);
  EXPECT_EQ(PathOf(Manager()->OpenDevice()), "SIMULATED:usb:0");
}

TEST_F(Opening, TakesAPath) {
  EXPECT_EQ(PathOf(Manager()->OpenDevice(DeviceType::kApexUsb, "SIMULATED:usb:1")), "SIMULATED:usb:1");
  EXPECT_EQ(PathOf(Manager()->NewEdgeTpuContext(DeviceType::kApexUsb, "SIMULATED:usb:1")), "SIMULATED:usb:1");
  for (const char* any : {"", "default"}) {
    EXPECT_EQ(PathOf(Manager()->OpenDevice(DeviceType::kApexUsb, any)), "SIMULATED:usb:0");
  }
}

TEST_F(Opening, OfWhatIsNotThereIsNull) {
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexUsb, "SIMULATED:usb:7"), nullptr);
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexPci, "SIMULATED:usb:0"), nullptr);
  EXPECT_EQ(Manager()->OpenDevice(static_cast<DeviceType>(7)), nullptr);
  EXPECT_EQ(Manager()->NewEdgeTpuContext(DeviceType::kApexUsb, "/dev/apex_0"), nullptr);
  EXPECT_EQ(edgetpu_create_delegate(EDGETPU_APEX_PCI, "nothing", nullptr, 0), nullptr);
  unsetenv("CORALFORGE_SIMULATED_DEVICES");
  EXPECT_EQ(Manager()->OpenDevice(), nullptr);
  EXPECT_EQ(Manager()->NewEdgeTpuContext(), nullptr);
  EXPECT_EQ(edgetpu_create_delegate(EDGETPU_APEX_USB, nullptr, nullptr, 0), nullptr);
}

TEST_F(Opening, SharesWhatOpenDeviceHasOpen) {
  const auto first = Manager()->OpenDevice(DeviceType::kApexUsb, "SIMULATED:usb:1", {{"Performance", "Low"}});
  ASSERT_NE(first, nullptr);
  // Like the real library: any device of the type will do, open ones come first, and their options stay.
  const auto second = Manager()->OpenDevice(DeviceType::kApexUsb, "", {{"Performance", "Max"}});
  EXPECT_NE(first, second);
  EXPECT_EQ(PathOf(second), "SIMULATED:usb:1");
  EXPECT_EQ(second->GetDeviceOptions()["Performance"], "Low");
  EXPECT_EQ(PathOf(Manager()->OpenDevice()), "SIMULATED:usb:1");
}

TEST_F(Opening, SharesAcrossDelegatesAndContexts) {
  const Delegate first = AnyDelegate(), second = AnyDelegate();
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(Manager()->GetOpenedDevices().size(), 1u);
  EXPECT_EQ(Manager()->NewEdgeTpuContext(DeviceType::kApexUsb, "SIMULATED:usb:0"), nullptr);
}

TEST_F(Opening, ForOneAloneKeepsOthersOut) {
  auto usb0 = Manager()->NewEdgeTpuContext(DeviceType::kApexUsb);
  auto usb1 = Manager()->NewEdgeTpuContext(DeviceType::kApexUsb);
  EXPECT_EQ(PathOf(usb0), "SIMULATED:usb:0");
  EXPECT_EQ(PathOf(usb1), "SIMULATED:usb:1");
  EXPECT_EQ(Manager()->NewEdgeTpuContext(DeviceType::kApexUsb), nullptr);
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexUsb), nullptr);
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexUsb, "SIMULATED:usb:1"), nullptr);
  EXPECT_EQ(edgetpu_create_delegate(EDGETPU_APEX_USB, nullptr, nullptr, 0), nullptr);
  usb0.reset();
  EXPECT_EQ(PathOf(Manager()->OpenDevice(DeviceType::kApexUsb)), "SIMULATED:usb:0");
}

TEST_F(Opening, ForOneAloneWantsADeviceThatNobodyShares) {
  const auto shared = Manager()->OpenDevice(DeviceType::kApexUsb);
  EXPECT_EQ(Manager()->NewEdgeTpuContext(DeviceType::kApexUsb, PathOf(shared)), nullptr);
  EXPECT_EQ(PathOf(Manager()->NewEdgeTpuContext(DeviceType::kApexUsb)), "SIMULATED:usb:1");
}

TEST_F(Opening, EndsWithTheLastReference) {
  auto first = Manager()->OpenDevice(DeviceType::kApexUsb);
  auto second = Manager()->OpenDevice(DeviceType::kApexUsb);
  first.reset();
  EXPECT_EQ(Manager()->NewEdgeTpuContext(DeviceType::kApexUsb, "SIMULATED:usb:0"), nullptr);
  second.reset();
  EXPECT_NE(Manager()->NewEdgeTpuContext(DeviceType::kApexUsb, "SIMULATED:usb:0"), nullptr);
}

TEST_F(Opening, OfAnotherDeviceCountsTheSharedOnes) {
  EXPECT_TRUE(Manager()->GetOpenedDevices().empty());
  const auto usb = Manager()->OpenDevice(DeviceType::kApexUsb);
  const auto pci = Manager()->OpenDevice(DeviceType::kApexPci);
  const auto alone = Manager()->NewEdgeTpuContext(DeviceType::kApexUsb);
  ASSERT_NE(alone, nullptr);
  const auto opened = Manager()->GetOpenedDevices();
  ASSERT_EQ(opened.size(), 2u);
  EXPECT_EQ(PathOf(opened[0]), "SIMULATED:usb:0");
  EXPECT_EQ(PathOf(opened[1]), "SIMULATED:pci:0");
}

TEST_F(Opening, IsKeptUpByTheListOfOpenedDevices) {
  auto usb = Manager()->OpenDevice(DeviceType::kApexUsb);
  auto opened = Manager()->GetOpenedDevices();
  usb.reset();
  EXPECT_EQ(Manager()->GetOpenedDevices().size(), 1u);
  opened.clear();
  EXPECT_TRUE(Manager()->GetOpenedDevices().empty());
}

TEST_F(Opening, ShowsHowInTheOptions) {
  EXPECT_EQ(Manager()->NewEdgeTpuContext(DeviceType::kApexUsb)->GetDeviceOptions(),
            Options({{"IsReady", ""}, {"ExclusiveOwnership", ""}}));
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexPci)->GetDeviceOptions(), Options({{"IsReady", ""}}));
  // The real library's default for shared USB devices.
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexUsb)->GetDeviceOptions(),
            Options({{"IsReady", ""}, {"Usb.MaxBulkInQueueLength", "8"}}));
  const Options given = {
      {"Performance", "High"}, {"Usb.AlwaysDfu", "True"}, {"Usb.MaxBulkInQueueLength", "32"}};
  Options expected = given;
  expected["IsReady"] = "";
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexUsb, "", given)->GetDeviceOptions(), expected);
}

TEST_F(Opening, ChecksOptionsAsTheRealLibraryDoes) {
  const auto opens = [](const std::string& name, const std::string& value) {
    const edgetpu_option option = {name.c_str(), value.c_str()};
    const Delegate delegate(edgetpu_create_delegate(EDGETPU_APEX_USB, "", &option, 1), edgetpu_free_delegate);
    const bool alone = Manager()->NewEdgeTpuContext(DeviceType::kApexPci, "", {{name, value}}) != nullptr;
    EXPECT_EQ(delegate != nullptr, alone) << name << "=" << value;
    return alone;
  };
  for (const char* value : {"Low", "Medium", "High", "Max"})
    EXPECT_TRUE(opens("Performance", value)) << value;
  for (const char* value : {"", "max", "Maximum", "Max "}) EXPECT_FALSE(opens("Performance", value)) << value;
  for (const char* value : {"True", "False"}) EXPECT_TRUE(opens("Usb.AlwaysDfu", value)) << value;
  for (const char* value : {"", "true", "1", "Yes"}) EXPECT_FALSE(opens("Usb.AlwaysDfu", value)) << value;
  for (const char* value : {"0", "8", "255", "256"})
    EXPECT_TRUE(opens("Usb.MaxBulkInQueueLength", value)) << value;
  for (const char* value : {"", "-1", "257", "8 ", "eight", "0x8", "99999999999999999999"}) {
    EXPECT_FALSE(opens("Usb.MaxBulkInQueueLength", value)) << value;
  }
  EXPECT_TRUE(opens("Nobody.KnowsThis", "whatever"));
}

TEST_F(Opening, InCWantsAPathWhereThereAreOptions) {
  const edgetpu_option option = {"Performance", "Max"};
  testing::internal::CaptureStderr();
  EXPECT_EQ(edgetpu_create_delegate(EDGETPU_APEX_USB, nullptr, &option, 1), nullptr);
  EXPECT_EQ(edgetpu_create_delegate(EDGETPU_APEX_USB, "", nullptr, 1), nullptr);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("SIMULATED"), std::string::npos);
  edgetpu_free_delegate(nullptr);
}

TEST_F(Opening, FromManyThreadsAtOnce) {
  std::atomic<int> opened{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([i, &opened] {
      for (int round = 0; round < 200; ++round) {
        const auto shared = Manager()->OpenDevice(DeviceType::kApexPci);
        const auto alone = Manager()->NewEdgeTpuContext(DeviceType::kApexUsb);
        if (shared != nullptr && shared->IsReady() && shared->GetDeviceOptions().count("IsReady")) ++opened;
        if (alone != nullptr) EXPECT_EQ(alone->GetDeviceOptions().count("ExclusiveOwnership"), 1u);
        if (i == 0)
          EXPECT_EQ(Manager()->SetVerbosity(round % 2 == 0 ? 0 : -1),
                    round % 2 == 0 ? kTfLiteOk : kTfLiteError);
        Manager()->GetOpenedDevices();
        Manager()->EnumerateEdgeTpu();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(opened, 8 * 200);
  EXPECT_TRUE(Manager()->GetOpenedDevices().empty());
}

using Verbosity = SimulatorTest;

TEST_F(Verbosity, GoesFrom0To10) {
  for (int level : {0, 5, 10}) EXPECT_EQ(Manager()->SetVerbosity(level), kTfLiteOk);
  for (int level : {-1, 11}) EXPECT_EQ(Manager()->SetVerbosity(level), kTfLiteError);
  edgetpu_verbosity(11);  // says nothing, does nothing
  EXPECT_EQ(Manager()->SetVerbosity(0), kTfLiteOk);
}

std::string SaidAt(int verbosity) {
  testing::internal::CaptureStderr();
  edgetpu_verbosity(verbosity);
  Manager()->OpenDevice(DeviceType::kApexUsb);
  Manager()->OpenDevice(DeviceType::kApexUsb, "nowhere");
  edgetpu_verbosity(0);
  return testing::internal::GetCapturedStderr();
}

TEST_F(Verbosity, ChoosesWhatIsSaid) {
  const std::string missing = "SIMULATED Edge TPU is not there, or open already: nowhere\n";
  EXPECT_EQ(SaidAt(0), "");
  EXPECT_EQ(SaidAt(1), missing);
  EXPECT_EQ(
      SaidAt(10),
      "SIMULATED Edge TPU opened: SIMULATED:usb:0\nSIMULATED Edge TPU closed: SIMULATED:usb:0\n" + missing);
}

using ControlFile = SimulatorTest;

TEST_F(ControlFile, MakesADeviceBusy) {
  SetControl("busy usb:0\n");
  EXPECT_EQ(Enumerated().size(), 3u);  // another process has it open: it is there
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexUsb, "SIMULATED:usb:0"), nullptr);
  // Like the real library: where the first device cannot be opened, the next one is not tried.
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexUsb), nullptr);
  EXPECT_EQ(PathOf(Manager()->OpenDevice(DeviceType::kApexUsb, "SIMULATED:usb:1")), "SIMULATED:usb:1");
  SetControl("");
  EXPECT_EQ(PathOf(Manager()->OpenDevice(DeviceType::kApexUsb)), "SIMULATED:usb:0");
}

TEST_F(ControlFile, DoesNotDisturbWhoHasTheDeviceOpen) {
  const auto open = Manager()->OpenDevice(DeviceType::kApexUsb);
  SetControl("busy usb:0\n");
  EXPECT_TRUE(open->IsReady());
  EXPECT_EQ(PathOf(Manager()->OpenDevice(DeviceType::kApexUsb)), "SIMULATED:usb:0");
}

TEST_F(ControlFile, UnplugsADevice) {
  auto open = Manager()->OpenDevice(DeviceType::kApexUsb);
  EXPECT_TRUE(open->IsReady());
  SetControl("unplug usb:0\n");
  EXPECT_EQ(Enumerated(), Paths({"SIMULATED:usb:1", "SIMULATED:pci:0"}));
  EXPECT_FALSE(open->IsReady());
  EXPECT_EQ(open->GetDeviceOptions().count("IsReady"), 0u);
  SetControl("");
  EXPECT_EQ(Enumerated().size(), 3u);
  EXPECT_FALSE(open->IsReady()) << "a device that comes back has to be opened again";
  open.reset();
  EXPECT_TRUE(Manager()->OpenDevice(DeviceType::kApexUsb)->IsReady());
}

TEST_F(ControlFile, LeavesTheNextDeviceToWhoWantsAny) {
  SetControl("unplug usb:0\nunplug pci:0\n");
  EXPECT_EQ(PathOf(Manager()->OpenDevice()), "SIMULATED:usb:1");
  EXPECT_EQ(Manager()->OpenDevice(DeviceType::kApexUsb, "SIMULATED:usb:0"), nullptr);
}

TEST_F(ControlFile, SaysOnceWhatItDoesNotUnderstand) {
  SetControl("eject usb:0\n");
  testing::internal::CaptureStderr();
  EXPECT_EQ(Enumerated().size(), 3u);
  EXPECT_EQ(Enumerated().size(), 3u);
  EXPECT_EQ(
      testing::internal::GetCapturedStderr(),
      "SIMULATED Edge TPU: no effect of 'eject usb:0' in the file that CORALFORGE_SIMULATED_CONTROL names: "
      "neither 'unplug usb:0' nor 'busy usb:0' or the like\n");
}

// What a plugin's "device" option opens; "" for nothing, and then a sentence was given to the caller.
std::string PluginOpens(std::vector<std::string> options) {
  static std::string said;
  said.clear();
  std::vector<char*> keys, values;
  for (size_t i = 0; i < options.size(); i += 2) {
    keys.push_back(options[i].data());
    values.push_back(options[i + 1].data());
  }
  const auto report = [](const char* text) { said += text; };
  TfLiteDelegate* delegate = tflite_plugin_create_delegate(keys.data(), values.data(), keys.size(), report);
  const auto opened = Manager()->GetOpenedDevices();
  std::string path = opened.empty() ? "" : PathOf(opened[0]);
  if (delegate != nullptr && !opened.empty()) {
    const std::string performance = opened[0]->GetDeviceOptions()["Performance"];
    if (!performance.empty()) path += " " + performance;
  }
  tflite_plugin_destroy_delegate(delegate);
  EXPECT_EQ(delegate == nullptr, path.empty());
  EXPECT_EQ(delegate == nullptr, said.find("SIMULATED Edge TPU: no device was opened") == 0) << said;
  return path;
}

using Plugin = SimulatorTest;

TEST_F(Plugin, OpensTheDeviceThatTheOptionNames) {
  EXPECT_EQ(PluginOpens({}), "SIMULATED:pci:0");
  EXPECT_EQ(PluginOpens({"device", ""}), "SIMULATED:pci:0");
  EXPECT_EQ(PluginOpens({"device", "usb"}), "SIMULATED:usb:0");
  EXPECT_EQ(PluginOpens({"device", "pci"}), "SIMULATED:pci:0");
  EXPECT_EQ(PluginOpens({"device", ":0"}), "SIMULATED:usb:0");
  EXPECT_EQ(PluginOpens({"device", ":2"}), "SIMULATED:pci:0");
  EXPECT_EQ(PluginOpens({"device", "usb:1"}), "SIMULATED:usb:1");
  EXPECT_EQ(PluginOpens({"device", "pci:0"}), "SIMULATED:pci:0");
}

TEST_F(Plugin, RefusesDevicesThatAreNotThere) {
  for (const char* device :
       {":3", "usb:2", "pci:1", "usb:-1", "usb:x", "usb:", ":", "gpu", "gpu:0", "usb0"}) {
    EXPECT_EQ(PluginOpens({"device", device}), "") << device;
  }
}

TEST_F(Plugin, NeedsNobodyToReportTo) {
  unsetenv("CORALFORGE_SIMULATED_DEVICES");
  EXPECT_EQ(tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr), nullptr);
}

// Like the real library.
TEST_F(Plugin, PassesOptionsOnWhereADeviceHasANumber) {
  EXPECT_EQ(PluginOpens({"device", "usb:1", "Performance", "Low"}), "SIMULATED:usb:1 Low");
  EXPECT_EQ(PluginOpens({"device", "usb:1", "Performance", "Tiny"}), "");
  EXPECT_EQ(PluginOpens({"device", "usb", "Performance", "Low"}), "SIMULATED:usb:0");
}

}  // namespace
}  // namespace coralforge
