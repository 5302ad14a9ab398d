#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "sim/probe/simulated_lab.h"
#include "sim/probe/stagger.h"
#include "sim/world/nat_presets.h"
#include "tests/kernel/kernel_lab.h"
#include "tests/kernel/kernel_pair.h"
#include "tests/kernel/model_lab.h"
#include "tests/kernel/probes.h"
#include "tests/kernel/rulesets.h"

/// The kernel as oracle: every script is run against the kernel under every ruleset that it suits, and against our
/// model of that router. Both must have done the same, packet by packet. With --show, prints what the kernel does.
namespace flaresim::kernel {
namespace {

using Observations = std::vector<Observation>;

/// One test: both routers are asked the same.
struct Case {
  std::string suite;
  std::string name;
  std::function<Observations()> real;
  std::function<Observations()> modelled;
};

constexpr int most_tries = 5;

/// Asks again when chance may have hidden a difference, or a busy machine made one: then `ask` gives nothing.
template <class Result>
Result ask_until_clear(const std::string& what,
                       const std::function<std::optional<Result>(int attempt)>& ask) {
  for (int attempt = 1; attempt <= most_tries; ++attempt)
    if (auto result = ask(attempt)) return *result;
  throw std::runtime_error(fmt::format("{}: asked {} times in vain", what, most_tries));
}

Case case_of(const Ruleset& ruleset, const Script& script) {
  const auto run = [&](Lab& lab) {
    Transcript transcript(ruleset.range, ruleset.random);
    Probe probe(lab, transcript, ruleset.ipv6);
    script.run(probe);
    return transcript;
  };
  const auto clear = [](const Transcript& transcript, bool in_time) -> std::optional<Observations> {
    if (transcript.ambiguous() || !in_time) return {};
    return transcript.observations();
  };
  const auto real = [=, &ruleset](int) {
    constexpr auto tolerance = 200ms;  // scripts come no nearer to a timeout
    KernelLab lab(ruleset.nft);
    const auto transcript = run(lab);
    return clear(transcript, lab.worst_delay() < tolerance);
  };
  const auto modelled = [=, &ruleset](int attempt) {
    ModelLab lab(ruleset, static_cast<std::uint64_t>(attempt));
    return clear(run(lab), true);
  };
  const auto name = ruleset.name + "." + script.name;
  return {ruleset.name, script.name, [=] { return ask_until_clear<Observations>(name, real); },
          [=] { return ask_until_clear<Observations>(name, modelled); }};
}

/// When the second of two peers starts, after the first. 20 ms is left out: there both meet at once.
constexpr int offsets_ms[] = {-100, -90, -80, -70, -60, -50, -40, -30, -10, 0,
                              10,   30,  40,  50,  60,  70,  80,  90,  100};
constexpr auto one_way = 20ms;

Observation punched(int offset_ms, const probe::MakePair& make, probe::Protocol transport) {
  const auto punches = probe::stagger(make, transport, {std::chrono::milliseconds(offset_ms)});
  return {fmt::format("second peer {} ms after the first", offset_ms),
          punches.front().success ? "punched" : "failed"};
}

/// Whether a punch through two routers of a kind succeeds, by how far apart the peers start.
Case curve_of(const Ruleset& ruleset, probe::Protocol transport) {
  const std::string name =
      transport == probe::Protocol::udp ? "stagger_of_udp_punch" : "stagger_of_tcp_punch";
  const auto real = [=, &ruleset](int offset_ms) {
    return ask_until_clear<Observation>(name, [&](int) -> std::optional<Observation> {
      constexpr auto tolerance = 8ms;  // offsets are 10 ms from where it matters
      auto worst_delay = 0ms;
      const auto make = [&] { return std::make_unique<KernelPair>(ruleset.nft, one_way, worst_delay); };
      auto observation = punched(offset_ms, make, transport);
      if (worst_delay > tolerance) return {};
      return observation;
    });
  };
  const auto real_curve = [=] {
    std::vector<std::future<Observation>> results;
    for (const int offset : offsets_ms) results.push_back(std::async(std::launch::async, real, offset));
    Observations observations;
    for (auto& result : results) observations.push_back(result.get());
    return observations;
  };
  const auto modelled_curve = [=, &ruleset] {
    const auto behaviour = world::parse_nat(ruleset.model).value();
    Observations observations;
    for (const int offset : offsets_ms)
      observations.push_back(punched(
          offset, [&] { return probe::simulated_pair(behaviour, behaviour, one_way, 1); }, transport));
    return observations;
  };
  return {ruleset.name, name, real_curve, modelled_curve};
}

bool is_wanted(const Case& which) {
  const auto& unit = *testing::UnitTest::GetInstance();
  for (int i = 0; i < unit.total_test_suite_count(); ++i) {
    const auto& suite = *unit.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const auto& test = *suite.GetTestInfo(j);
      if (test.should_run() && which.suite == suite.name() && which.name == test.name()) return true;
    }
  }
  return false;
}

/// What the kernel does in each case, found out side by side: most of the time it is waited for.
class Kernel : public testing::Environment {
 public:
  explicit Kernel(const std::vector<Case>& cases) : cases_(cases) {}

  Observations observations(const Case& of) { return results_.at(&of).get(); }

 private:
  void SetUp() override {
    for (const auto& each : cases_) {
      if (!is_wanted(each)) continue;
      jobs_.emplace_back(each.real);
      results_[&each] = jobs_.back().get_future();
    }
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  }
  void TearDown() override {
    for (auto& thread : threads_) thread.join();
  }
  void work() {
    for (std::size_t i = next_++; i < jobs_.size(); i = next_++) jobs_[i]();
  }

  static constexpr int workers = 40;
  const std::vector<Case>& cases_;
  std::vector<std::packaged_task<Observations()>> jobs_;
  std::map<const Case*, std::future<Observations>> results_;
  std::atomic<std::size_t> next_ = 0;
  std::vector<std::thread> threads_;
};

/// What the kernel does, for people.
void show(const Observations& observations, const Case& of) {
  fmt::print("\n{}.{}\n", of.suite, of.name);
  for (const auto& [sent, seen] : observations) fmt::print("  {}\n    {}\n", sent, seen);
}

class KernelTest : public testing::Test {
 public:
  KernelTest(Kernel& kernel, const Case& which) : kernel_(kernel), which_(which) {}

  void TestBody() override {
    const auto real = kernel_.observations(which_);
    if (only_show) return show(real, which_);
    const auto modelled = which_.modelled();
    ASSERT_EQ(real.size(), modelled.size());
    for (std::size_t i = 0; i < real.size(); ++i)
      EXPECT_EQ(modelled[i], real[i]) << "observation " << i + 1 << " of " << real.size();
    RecordProperty("comparisons", static_cast<int>(real.size()));
    comparisons += real.size();
  }

  static inline std::size_t comparisons = 0;
  static inline bool only_show = false;

 private:
  Kernel& kernel_;
  const Case& which_;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& script : scripts())
    for (const auto& ruleset : rulesets())
      if (script.suits(ruleset)) cases.push_back(case_of(ruleset, script));
  for (const auto& ruleset : rulesets())
    if (ruleset.has_curve)
      for (const auto transport : {probe::Protocol::udp, probe::Protocol::tcp})
        cases.push_back(curve_of(ruleset, transport));
  return cases;
}

int test(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const auto reason = KernelLab::missing()) {
    fmt::print("skipped: {}\n", *reason);
    constexpr int skipped = 77;  // as CMakeLists.txt has it
    return skipped;
  }
  KernelTest::only_show = argc > 1 && std::string(argv[1]) == "--show";
  const auto cases = all_cases();
  auto* kernel = new Kernel(cases);
  testing::AddGlobalTestEnvironment(kernel);  // which owns it
  for (const auto& each : cases)
    testing::RegisterTest(each.suite.c_str(), each.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [&each, kernel]() -> testing::Test* { return new KernelTest(*kernel, each); });
  const int result = RUN_ALL_TESTS();
  fmt::print("{} observations compared under {} rulesets\n", KernelTest::comparisons, rulesets().size());
  return result;
}

}  // namespace
}  // namespace flaresim::kernel

int main(int argc, char** argv) { return flaresim::kernel::test(argc, argv); }
