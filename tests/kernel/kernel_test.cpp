#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/kernel/kernel_lab.h"
#include "tests/kernel/model_lab.h"
#include "tests/kernel/probes.h"
#include "tests/kernel/rulesets.h"

/// The kernel as oracle: every script is run against the kernel under every ruleset that it suits, and against our
/// model of that router. Both must have done the same, packet by packet. With --show, prints what the kernel does.
namespace flaresim::kernel {
namespace {

constexpr int most_tries = 3;

/// Chance may have hidden a difference, or a busy machine made one: then it is tried again.
template <class Try>
Transcript run(const Ruleset& ruleset, const Script& script, Try&& try_once) {
  for (int attempt = 1;; ++attempt) {
    Transcript transcript(ruleset.range);
    const bool in_time = try_once(transcript, attempt);
    if ((in_time && !transcript.ambiguous()) || attempt == most_tries) return transcript;
    fmt::print("{}.{}: once more, {}\n", ruleset.name, script.name, in_time ? "ambiguous" : "late");
  }
}

Transcript run_on_kernel(const Ruleset& ruleset, const Script& script) {
  return run(ruleset, script, [&](Transcript& transcript, int) {
    constexpr auto tolerance = 200ms;  // probes come no nearer to a timeout
    KernelLab lab(ruleset.nft);
    Probe probe(lab, transcript, ruleset.ipv6);
    script.run(probe);
    return lab.worst_delay() < tolerance;
  });
}

Transcript run_on_model(const Ruleset& ruleset, const Script& script) {
  return run(ruleset, script, [&](Transcript& transcript, int attempt) {
    ModelLab lab(ruleset.model, static_cast<std::uint64_t>(attempt));
    Probe probe(lab, transcript, ruleset.ipv6);
    script.run(probe);
    return true;
  });
}

struct Case {
  const Ruleset& ruleset;
  const Script& script;

  std::string name() const { return ruleset.name + "." + script.name; }
};

bool is_wanted(const Case& which) {
  const auto& unit = *testing::UnitTest::GetInstance();
  for (int i = 0; i < unit.total_test_suite_count(); ++i) {
    const auto& suite = *unit.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const auto& test = *suite.GetTestInfo(j);
      if (test.should_run() && which.ruleset.name == suite.name() && which.script.name == test.name())
        return true;
    }
  }
  return false;
}

/// The kernel's transcripts, made side by side: most of their time they wait.
class Kernel : public testing::Environment {
 public:
  explicit Kernel(const std::vector<Case>& cases) : cases_(cases) {}

  Transcript transcript(const Case& of) { return results_.at(of.name()).get(); }

 private:
  void SetUp() override {
    for (const auto& each : cases_) {
      if (!is_wanted(each)) continue;
      jobs_.emplace_back([&each] { return run_on_kernel(each.ruleset, each.script); });
      results_[each.name()] = jobs_.back().get_future();
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
  std::vector<std::packaged_task<Transcript()>> jobs_;
  std::map<std::string, std::future<Transcript>> results_;
  std::atomic<std::size_t> next_ = 0;
  std::vector<std::thread> threads_;
};

/// What the kernel does, for people.
void show(const Transcript& transcript, const Case& of) {
  fmt::print("\n{}\n", of.name());
  for (const auto& [sent, seen] : transcript.observations()) fmt::print("  {}\n    {}\n", sent, seen);
}

class KernelTest : public testing::Test {
 public:
  KernelTest(Kernel& kernel, const Case& which) : kernel_(kernel), which_(which) {}

  void TestBody() override {
    if (only_show) return show(kernel_.transcript(which_), which_);
    const auto real = kernel_.transcript(which_).observations();
    const auto modelled = run_on_model(which_.ruleset, which_.script).observations();
    ASSERT_EQ(real.size(), modelled.size());
    for (std::size_t i = 0; i < real.size(); ++i)
      EXPECT_EQ(modelled[i], real[i]) << "packet " << i + 1 << " of " << real.size();
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
  for (const auto& script :
       scripts())  // those that wait longest come last in the list, and should begin first
    for (const auto& ruleset : rulesets())
      if (script.suits(ruleset)) cases.push_back({ruleset, script});
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
    testing::RegisterTest(each.ruleset.name.c_str(), each.script.name.c_str(), nullptr, nullptr, __FILE__,
                          __LINE__,
                          [&each, kernel]() -> testing::Test* { return new KernelTest(*kernel, each); });
  const int result = RUN_ALL_TESTS();
  fmt::print("{} packets compared under {} rulesets\n", KernelTest::comparisons, rulesets().size());
  return result;
}

}  // namespace
}  // namespace flaresim::kernel

int main(int argc, char** argv) { return flaresim::kernel::test(argc, argv); }
