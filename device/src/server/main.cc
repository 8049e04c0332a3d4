// coral-device: see Usage().

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include "models/library.h"
#include "server/bus.h"
#include "server/libusb_front.h"
#include "server/options.h"
#include "server/redir_front.h"

namespace coral_device {
namespace {

std::atomic<bool> ended{false};

class Log : public Listener {
 public:
  Log(const std::string& path, bool trace) : trace_(trace) {
    if (!path.empty()) file_.open(path);
  }

  void Say(Level level, const std::string& text) override {
    if (level == Level::kTrace && !trace_) return;
    char time[32];
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - start_;
    std::snprintf(time, sizeof(time), "%9.3f ", since.count());
    (file_.is_open() ? static_cast<std::ostream&>(file_) : std::cerr)
        << time << (level == Level::kError ? "error: " : "") << text << std::endl;
  }

 private:
  const bool trace_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::ofstream file_;
};

// Hears when something was computed.
class WorkerSource : public Source {
 public:
  explicit WorkerSource(Bus* bus) : bus_(bus) {}
  int descriptor() const override { return bus_->worker_descriptor(); }
  bool OnReady() override {
    bus_->Pump();
    return true;
  }

 private:
  Bus* const bus_;
};

bool WriteStats(const Options& options, const Bus& bus) {
  if (options.stats.empty()) return true;
  std::ofstream file(options.stats);
  file << bus.Stats();
  return static_cast<bool>(file.flush());
}

// Carries out a command for a running device.
std::string Obey(const Options& options, Bus* bus, const std::string& command) {
  std::istringstream words(command);
  std::string word, value;
  size_t device = 0;
  words >> word;
  if (word == "device") words >> device >> word;
  words >> value;
  if (device >= bus->size()) return "there is no device " + std::to_string(device);
  Accelerator& accelerator = bus->device(device);
  if (word == "plug") {
    accelerator.Plug();
  } else if (word == "unplug") {
    accelerator.Unplug();
  } else if (word == "fault") {
    const std::string wrong = accelerator.faults().Add(value);
    if (!wrong.empty()) return wrong;
  } else if (word == "no-faults") {
    accelerator.faults().Clear();
  } else if (word == "speed" && SpeedOf(value)) {
    accelerator.SetSpeed(*SpeedOf(value));
  } else if (word == "stats") {
    return WriteStats(options, *bus) ? bus->Stats() : options.stats + " cannot be written";
  } else if (word == "quit") {
    ended = true;
  } else {
    return "there is no command " + command;
  }
  return "done";
}

int TellOther(const Options& options) {
  const int socket = Connect(options.tell);
  const auto size = static_cast<uint32_t>(options.command.size());
  const RequestHead head = {Request::kTell, 1, 0, {0, 0}, size};
  Stream stream(socket);
  stream.Write(&head, sizeof(head));
  stream.Write(options.command.data(), options.command.size());
  AnswerHead answer;
  while (socket >= 0 && stream.Send() && stream.Receive()) {
    if (stream.received().size() >= sizeof(answer)) {
      std::memcpy(&answer, stream.received().data(), sizeof(answer));
      if (stream.received().size() >= sizeof(answer) + answer.size) {
        std::cout.write(reinterpret_cast<const char*>(stream.received().data()) + sizeof(answer),
                        answer.size);
        std::cout << std::endl;
        return 0;
      }
    }
    usleep(10'000);
  }
  std::cerr << "coral-device: no device answers at " << options.tell << std::endl;
  return 3;
}

int Serve(const Options& options) {
  Library library;
  for (const auto& [compiled, plain] : options.models) {
    const std::string wrong = library.Add(compiled, plain);
    if (wrong.empty()) continue;
    std::cerr << "coral-device: " << wrong << std::endl;
    return 2;
  }
  Log log(options.log, options.trace);
  const auto compute = [&](const Program& program, const Tensors& inputs, Tensors* outputs) {
    return library.Compute(program, inputs, outputs);
  };
  Bus bus(std::vector<Accelerator::Options>(options.devices, options.device), &library.programs(), compute,
          &log);
  Loop loop;
  loop.Add(std::make_unique<WorkerSource>(&bus));
  if (!options.socket.empty()) {
    const int listener = Listen(options.socket);
    if (listener < 0) {
      std::cerr << "coral-device: cannot listen at " << options.socket << ": " << std::strerror(errno)
                << std::endl;
      return 3;
    }
    const auto obey = [&](const std::string& command) { return Obey(options, &bus, command); };
    loop.Add(std::make_unique<LibusbFront>(listener, &bus, &loop, obey));
  }
  if (!options.usbredir.empty()) loop.Add(std::make_unique<RedirFront>(options.usbredir, &bus, &log));
  std::cout << "coral-device: emulated device ready, " << options.models.size() << " models" << std::endl;
  while (!ended) loop.Turn();
  if (!options.socket.empty()) unlink(options.socket.c_str());
  const bool written = WriteStats(options, bus);
  // What is still being computed is for nobody.
  std::_Exit(written ? 0 : 3);
}

int Main(const std::vector<std::string>& arguments) {
  Result<Options> options = ReadOptions(arguments);
  if (!options.ok()) {
    std::cerr << "coral-device: " << options.wrong() << "; see --help" << std::endl;
    return 2;
  }
  if (options.value().help) {
    std::cout << Usage();
    return 0;
  }
  if (!options.value().tell.empty()) return TellOther(options.value());
  const auto end = [](int) { ended = true; };
  std::signal(SIGTERM, end);
  std::signal(SIGINT, end);
  return Serve(options.value());
}

}  // namespace
}  // namespace coral_device

int main(int count, char** arguments) {
  return coral_device::Main(std::vector<std::string>(arguments + 1, arguments + count));
}
