// What programs take of libstdc++ beside an inference: exceptions and std types across the borders of shared libraries,
// threads, locale, iostream. Prints "ok NAME" for each part; ends with 1 at the first that is not.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iomanip>
#include <iostream>
#include <locale>
#include <memory>
#include <mutex>
#include <new>
#include <regex>
#include <shared_mutex>
#include <sstream>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

#include "border.h"
#include "edgetpu.h"
#include "flatbuffers/flatbuffers.h"
#include "flatbuffers/util.h"
#include "tensorflow/lite/error_reporter.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/model_builder.h"

namespace {

#define REQUIRE(what)                                                        \
  do {                                                                       \
    if (!(what)) {                                                           \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
      std::exit(1);                                                          \
    }                                                                        \
  } while (false)

template <typename Exception>
bool Throws(const std::function<void()>& run) {
  try {
    run();
  } catch (const Exception&) {
    return true;
  }
  return false;
}

void ExceptionsFromALibrary() {
  try {
    border::Throw(0);
    REQUIRE(false);
  } catch (const border::Refused& refused) {
    REQUIRE(refused.code == 7);
    REQUIRE(std::string(refused.what()) == "refused, for a reason that is not a short string");
  }
  REQUIRE(Throws<std::runtime_error>([] { border::Throw(0); }));
  REQUIRE(Throws<std::out_of_range>([] { border::Throw(1); }));
  REQUIRE(Throws<std::bad_alloc>([] { border::Throw(2); }));
  REQUIRE(Throws<int>([] { border::Throw(3); }));
  REQUIRE(Throws<std::length_error>([] { std::string().reserve(static_cast<std::size_t>(-1)); }));
}

void ExceptionsThroughALibrary() {
  bool unwound = false;
  struct Mark {
    bool* to;
    ~Mark() { *to = true; }
  };
  REQUIRE(Throws<std::invalid_argument>([&] {
    border::Call([&] {
      Mark mark{&unwound};
      throw std::invalid_argument("from the program");
    });
  }));
  REQUIRE(unwound);
  const std::exception_ptr caught = border::Caught();
  REQUIRE(Throws<border::Refused>([&] { std::rethrow_exception(caught); }));
}

struct Thrower : tflite::ErrorReporter {
  int Report(const char* format, va_list arguments) override {
    char text[512];
    std::vsnprintf(text, sizeof(text), format, arguments);
    throw std::runtime_error(text);
  }
};

void ExceptionsThroughTensorFlowLite() {
  Thrower thrower;
  try {
    auto model = tflite::FlatBufferModel::BuildFromFile("/no/such/model.tflite", &thrower);
    REQUIRE(false);
  } catch (const std::runtime_error& error) {
    REQUIRE(std::string(error.what()).find("/no/such/model.tflite") != std::string::npos);
  }
}

struct Other : border::Shape {
  std::string Name() const override { return "another"; }
};

void TypesAcrossABorder() {
  const auto sorted = border::Sorted({"one", "two", "three and more than fits into a short string"});
  REQUIRE(sorted.at("t").size() == 2 && sorted.at("o").front() == "one");
  const std::unique_ptr<border::Shape> shape = border::MakeSquare();
  REQUIRE(shape->Name().size() > 32);
  const border::Shape& square = *shape;
  REQUIRE(std::string(typeid(square).name()).find("Square") != std::string::npos);
  REQUIRE(Throws<std::bad_cast>([&] { (void)dynamic_cast<const Other&>(square); }));
}

void TypesOfTheBundlesLibraries(const char* path) {
  const auto model = tflite::FlatBufferModel::BuildFromFile(path);
  REQUIRE(model != nullptr);
  const std::map<std::string, std::string> metadata = model->ReadAllMetadata();
  REQUIRE(metadata.count("min_runtime_version") == (model->GetMinimumRuntime().empty() ? 0 : 1));
  tflite::ops::builtin::BuiltinOpResolver resolver;
  std::unique_ptr<tflite::Interpreter> interpreter;
  REQUIRE(tflite::InterpreterBuilder(*model, resolver)(&interpreter) == kTfLiteOk);
  REQUIRE(interpreter->AllocateTensors() == kTfLiteOk && interpreter->Invoke() == kTfLiteOk);
  REQUIRE(interpreter->inputs().size() == 1 && interpreter->signature_keys().empty());

  auto* manager = edgetpu::EdgeTpuManager::GetSingleton();
  const auto devices = manager->EnumerateEdgeTpu();
  REQUIRE(devices.size() == 2 && !devices[0].path.empty());
  REQUIRE(manager->Version().size() > 8);
  const auto context = manager->OpenDevice(devices[0].type, devices[0].path, {{"Performance", "Max"}});
  REQUIRE(context != nullptr && context->GetDeviceEnumRecord() == devices[0]);
  REQUIRE(context->GetDeviceOptions().at("Performance") == "Max");

  flatbuffers::FlatBufferBuilder builder;
  REQUIRE(builder.CreateString("text").o > 0);
  REQUIRE(flatbuffers::NumToString(2.5) == "2.5");
  std::string text;
  REQUIRE(flatbuffers::LoadFile(path, true, &text) && text.compare(4, 4, "TFL3") == 0);
}

void Threads() {
  std::mutex mutex;
  std::condition_variable ready;
  bool done = false;
  int sum = 0;
  std::vector<std::thread> threads;
  for (int number = 0; number < 8; ++number) {
    threads.emplace_back([&, number] {
      const std::lock_guard<std::mutex> lock(mutex);
      sum += number;
      if (sum == 28) done = true;
      ready.notify_all();
    });
  }
  {
    std::unique_lock<std::mutex> lock(mutex);
    ready.wait(lock, [&] { return done; });
    // Waits until a time that never comes early: all its ways take a newer glibc's clocks where the headers may.
    REQUIRE(ready.wait_for(lock, std::chrono::milliseconds(1)) == std::cv_status::timeout || done);
  }
  for (auto& thread : threads) thread.join();
  REQUIRE(sum == 28);

  std::timed_mutex timed;
  std::shared_timed_mutex shared;
  const std::lock_guard<std::timed_mutex> held(timed);
  const std::lock_guard<std::shared_timed_mutex> kept(shared);
  auto other = std::async(std::launch::async, [&] {
    return !timed.try_lock_for(std::chrono::milliseconds(1)) &&
           !shared.try_lock_shared_for(std::chrono::milliseconds(1));
  });
  REQUIRE(other.get());

  std::promise<int> promise;
  std::thread failing([&] { promise.set_exception(border::Caught()); });
  REQUIRE(Throws<border::Refused>([&] { promise.get_future().get(); }));
  failing.join();

  std::once_flag once;
  std::atomic<int> calls{0};
  thread_local std::string own = "of a thread";
  std::thread first([&] { std::call_once(once, [&] { ++calls; }), own += "!"; });
  first.join();
  std::call_once(once, [&] { ++calls; });
  REQUIRE(calls == 1 && own == "of a thread");
}

struct Points : std::numpunct<char> {
  char do_thousands_sep() const override { return '.'; }
  char do_decimal_point() const override { return ','; }
  std::string do_grouping() const override { return "\3"; }
};

void Locales() {
  std::ostringstream out;
  out.imbue(std::locale(std::locale::classic(), new Points));
  border::Print(out, 1234567.25);
  REQUIRE(out.str() == "1.234.567,250");
  std::istringstream in("1.234,5");
  in.imbue(out.getloc());
  double value = 0;
  REQUIRE((in >> value) && value == 1234.5);
  REQUIRE(std::locale("C").name() == "C");
  REQUIRE(Throws<std::runtime_error>([] { std::locale unknown("xx_NOWHERE.UTF-8"); }));
  REQUIRE(std::use_facet<std::ctype<char>>(std::locale::classic()).toupper('x') == 'X');
  std::tm day = {};
  day.tm_year = 118, day.tm_mon = 1, day.tm_mday = 1;
  std::ostringstream date;
  date << std::put_time(&day, "%Y-%m-%d %B");
  REQUIRE(date.str() == "2018-02-01 February");
  REQUIRE(std::regex_match("glibc-2.27", std::regex("[a-z]+-\\d\\.(\\d+)")));
}

void Streams() {
  std::stringstream both;
  both << std::hex << std::showbase << 255 << ' ' << std::boolalpha << true << ' ' << std::setw(5) << std::left << "x";
  REQUIRE(both.str() == "0xff true x    ");
  std::wstringstream wide;
  wide << L"wide " << 7;
  REQUIRE(wide.str() == L"wide 7");
  std::stringstream moved = std::move(both);
  std::string word;
  REQUIRE((moved >> word) && word == "0xff");

  const char* path = "/tmp/check.txt";
  std::ofstream(path) << "first\nsecond line\n";
  std::ifstream file(path);
  std::string line;
  REQUIRE(std::getline(file, line) && std::getline(file, line) && line == "second line");
  file.exceptions(std::ios::failbit);
  REQUIRE(Throws<std::ios_base::failure>([&] { std::getline(file, line); }));
  REQUIRE(Throws<std::system_error>([] {
    std::ifstream missing;
    missing.exceptions(std::ios::failbit);
    missing.open("/no/such/file");
  }));
  REQUIRE(std::stod("0x1.8p1") == 3.0 && std::to_string(42) == "42");
}

}  // namespace

int main(int, char** arguments) {
  const auto run = [](const char* name, const std::function<void()>& part) {
    part();
    std::cout << "ok " << name << std::endl;
  };
  run("exceptions from a library", ExceptionsFromALibrary);
  run("exceptions through a library", ExceptionsThroughALibrary);
  run("exceptions through TensorFlow Lite", ExceptionsThroughTensorFlowLite);
  run("types across a border", TypesAcrossABorder);
  run("types of the bundle's libraries", [&] { TypesOfTheBundlesLibraries(arguments[1]); });
  run("threads", Threads);
  run("locale", Locales);
  run("iostream", Streams);
}
