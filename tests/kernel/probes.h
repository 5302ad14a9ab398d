#pragma once

#include <string>
#include <vector>

#include "tests/kernel/probe.h"
#include "tests/kernel/rulesets.h"

namespace flaresim::kernel {

/// A question to a router, asked with packets only.
struct Script {
  std::string name;
  void (*run)(Probe& probe);
  bool (*suits)(const Ruleset& ruleset);
};

const std::vector<Script>& scripts();

}  // namespace flaresim::kernel
