#include "server/options.h"

#include <cstdlib>

namespace coral_device {
namespace {

// Takes the words after options, one by one.
class Words {
 public:
  explicit Words(const std::vector<std::string>& words) : words_(words) {}
  bool More() const { return next_ < words_.size(); }
  std::string Take() { return More() ? words_[next_++] : ""; }

 private:
  const std::vector<std::string>& words_;
  size_t next_ = 0;
};

std::string SetMode(const std::string& name, Mode* mode) {
  if (name != "dfu" && name != "app") return "--start takes dfu or app, not \"" + name + "\"";
  *mode = name == "dfu" ? Mode::kDfu : Mode::kApp;
  return "";
}

std::string SetSpeed(const std::string& name, Speed* speed) {
  const auto known = SpeedOf(name);
  if (!known) return "--speed takes super, high or full, not \"" + name + "\"";
  *speed = *known;
  return "";
}

std::string SetDevices(const std::string& number, size_t* devices) {
  *devices = static_cast<size_t>(std::strtoul(number.c_str(), nullptr, 10));
  return *devices >= 1 && *devices <= 16 ? "" : "--devices takes 1 to 16";
}

std::string SetTell(Words* words, Options* options) {
  options->tell = words->Take();
  while (words->More()) options->command += (options->command.empty() ? "" : " ") + words->Take();
  return options->command.empty() ? "--tell takes a socket and a command" : "";
}

std::string SetOne(const std::string& name, Words* words, Options* options) {
  if (name == "--help" || name == "--trace") {
    (name == "--help" ? options->help : options->trace) = true;
    return "";
  }
  if (!words->More()) return name + " takes a value, or is not known";
  if (name == "--tell") return SetTell(words, options);
  if (name == "--model") {
    const std::string compiled = words->Take();
    options->models.emplace_back(compiled, words->Take());
    return options->models.back().second.empty() ? "--model takes two files" : "";
  }
  const std::string value = words->Take();
  if (name == "--start") return SetMode(value, &options->device.start);
  if (name == "--speed") return SetSpeed(value, &options->device.speed);
  if (name == "--fault") return options->device.faults.Add(value);
  if (name == "--devices") return SetDevices(value, &options->devices);
  for (const auto& [known, text] : {std::pair<const char*, std::string*>{"--socket", &options->socket},
                                    {"--usbredir", &options->usbredir},
                                    {"--stats", &options->stats},
                                    {"--log", &options->log}}) {
    if (name != known) continue;
    *text = value;
    return "";
  }
  return "there is no option " + name;
}

}  // namespace

std::optional<Speed> SpeedOf(const std::string& name) {
  if (name == "super") return Speed::kSuper;
  if (name == "high") return Speed::kHigh;
  if (name == "full") return Speed::kFull;
  return std::nullopt;
}

Result<Options> ReadOptions(const std::vector<std::string>& arguments) {
  Options options;
  Words words(arguments);
  while (words.More()) {
    const std::string wrong = SetOne(words.Take(), &words, &options);
    if (!wrong.empty()) return Wrong{wrong};
  }
  const bool somewhere = !options.socket.empty() || !options.usbredir.empty() || !options.tell.empty();
  if (!somewhere && !options.help) return Wrong{"give --socket, --usbredir or --tell"};
  return options;
}

std::string Usage() {
  return "coral-device: an emulated device, a stand-in for a Coral USB Accelerator; no hardware.\n\n"
         "  coral-device --socket PATH [--model COMPILED PLAIN]... [options]\n"
         "  coral-device --tell PATH COMMAND\n\n"
         "  --socket PATH               for programs that run with our libusb-1.0.so.0 and "
         "CORAL_DEVICE_SOCKET=PATH\n"
         "  --usbredir PATH             for a virtual machine: a Unix socket where QEMU's usb-redir listens\n"
         "  --model COMPILED PLAIN      a model it can run, and the one that it was compiled from\n"
         "  --devices N                 so many devices, for --socket\n"
         "  --start dfu|app             without firmware (as plugged in), or with it\n"
         "  --speed super|high|full     of the bus\n"
         "  --fault NAME[=NUMBER]       something goes wrong; may be repeated\n"
         "  --stats FILE                what went over USB, as JSON, when it ends or is told \"stats\"\n"
         "  --log FILE, --trace         where it says what it does; and each transfer too\n\n"
         "Commands: plug, unplug, fault NAME[=NUMBER], no-faults, speed NAME, stats, quit; \"device N\" "
         "before it.\n\n"
         "Faults:\n" +
         Faults::Help();
}

}  // namespace coral_device
