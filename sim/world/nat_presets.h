#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/nat/behaviour.h"
#include "sim/world/scenario.h"

namespace flaresim::world {

/// Something that a reader can open, and what it says about the NAT.
struct NatSource {
  enum class Kind { measurement, manual, code, standard };
  std::string url;  ///< or the path of one of this repository's own tests, `tests/…`
  Kind kind = Kind::manual;
  std::string says;
};
std::string_view to_string(NatSource::Kind kind);
/// Whether a source's `url` is a path in this repository.
bool is_in_repository(std::string_view url);

/// What a preset's mapping and filtering, which decide whether a punch can work, rest on.
enum class NatGrade {
  measured,    ///< somebody probed such a box
  documented,  ///< its manual, its code or the standard that defines it
  assumed,     ///< nothing that a reader can open says so
};
std::string_view to_string(NatGrade grade);

/// One axis as the preset's file gives it.
struct NatPresetAxis {
  std::string key;
  std::string value;
  bool assumed = false;  ///< no source says so
};

/// One file of `nats/`.
struct NatPreset {
  std::string name;
  std::string summary;                   ///< one line for people
  std::string group;                     ///< the heading that it stands under
  std::vector<std::string> observed_on;  ///< makes and versions; empty for a definition
  std::vector<NatSource> sources;        ///< at least one
  std::vector<NatPresetAxis> axes;
  NatGrade grade = NatGrade::assumed;
};

/// All presets, in the order in which people should see them.
struct NatCatalogue {
  std::vector<NatPreset> presets;
  nat::Presets names;  ///< the same for `nat::parse_behaviour`

  /// Nothing when there is no such preset.
  const NatPreset* find(std::string_view name) const;
};

/// Reads every `*.yaml` of a folder, whose `index.yaml` gives their order: a list of `{group, presets}`. Files that it
/// does not name follow by name, in a group `Others`.
///
/// 1. Unknown, repeated and missing keys, and values that `nat::parse_behaviour` refuses, are errors with file, line,
///    column and what was probably meant.
/// 2. `assumed` names axes of the same file; `["*"]` are all that `known` does not name.
/// 3. A preset is called like its file.
tl::expected<NatCatalogue, ScenarioError> read_nat_catalogue(const std::string& folder);

/// What `nats/` of `data_directory` holds, read once a process.
const tl::expected<NatCatalogue, ScenarioError>& nat_catalogue();

/// The behaviour that a preset's name, a name with settings, or an inline form stands for. A catalogue that cannot be
/// read is an error of any text that needs it.
tl::expected<nat::Behaviour, nat::NotationError> parse_nat(std::string_view text);

/// One axis of a NAT, with all that is known about where its value comes from.
struct NatAxis {
  enum class Basis {
    source,    ///< one of the preset's sources says so
    assumed,   ///< the preset's file says so, without a source
    given,     ///< the text that names the NAT says so
    standard,  ///< nobody says anything: what RFCs recommend, or the plainest
  };
  std::string key;
  std::string value;
  std::string meaning;  ///< one line for people
  Basis basis = Basis::standard;
};
std::string_view to_string(NatAxis::Basis basis);

/// A NAT axis by axis. Transports that differ have an axis each; so has what differs over IPv6.
struct NatDescription {
  const NatPreset* preset = nullptr;  ///< the one that the text names, if any; lives as long as the process
  std::string inline_form;            ///< canonical
  std::vector<NatAxis> axes;
};
tl::expected<NatDescription, nat::NotationError> describe_nat(std::string_view text);

}  // namespace flaresim::world
