// What went over USB, counted; and how long that would take on a real bus.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/program.h"

namespace coral_device {

// Bytes of one run of a program, by kind. An endpoint's own overhead is not in them.
struct Traffic {
  uint64_t instructions = 0;
  uint64_t parameters = 0;
  uint64_t inputs = 0;
  uint64_t outputs = 0;
  uint64_t events = 0;
  uint64_t headers = 0;

  uint64_t out() const { return instructions + parameters + inputs + headers; }
  uint64_t in() const { return outputs + events; }
};

struct ProgramStats {
  std::string model;
  ProgramKind kind;
  uint64_t runs = 0;
  uint64_t cycles = 0;
  Multiplications multiplications;
  Traffic last;
};

struct ControlStats {
  uint64_t standard = 0;
  uint64_t firmware = 0;
  uint64_t register_reads = 0;
  uint64_t register_writes = 0;
};

class Stats {
 public:
  void Ran(const Program& program, const Traffic& traffic);
  ControlStats& control() { return control_; }
  const ControlStats& control() const { return control_; }
  void CountReset() { ++resets_; }
  void CountFirmware(uint64_t bytes) { firmware_bytes_ = bytes; }

  // A JSON object, in the words of docs/device.md.
  std::string Json() const;

 private:
  std::map<std::pair<size_t, ProgramKind>, ProgramStats> programs_;
  ControlStats control_;
  uint64_t resets_ = 0;
  uint64_t firmware_bytes_ = 0;
};

// Milliseconds that these bytes need on the bus, at the speeds in docs/device.md. Computing is not in it.
double TransferMilliseconds(const Traffic& traffic, bool super_speed);

// Milliseconds of one inference on the chip, as docs/device.md says how. Operations on the CPU are not in it.
double InferenceMilliseconds(const Traffic& traffic, const Multiplications& work, bool super_speed);

}  // namespace coral_device
