#pragma once

#include <string>

namespace flaresim::study {

/// What made a result, besides scenario and seed.
struct BuildInfo {
  std::string version;
  std::string ns3;
  std::string compiler;
  std::string build_type;
  std::string git;  ///< `git describe` when the build was configured; empty outside of a repository
  std::string id;   ///< the linker's build id of the program or module that holds this code; may be empty
};

const BuildInfo& build_info();

}  // namespace flaresim::study
