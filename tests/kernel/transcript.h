#pragma once

#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "tests/kernel/lab.h"

namespace flaresim::kernel {

/// One packet that a probe has sent, and what came of it.
struct Observation {
  std::string sent;
  std::string seen;

  friend bool operator==(const Observation&, const Observation&) = default;
};
std::ostream& operator<<(std::ostream& out, const Observation& observation);

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};

/// What a probe has seen, in words that are the same for two routers that do the same.
///
/// 1. Addresses go by their names in addresses.h.
/// 2. A port that the router has made up is called new1, new2, … in the order of appearance, with the range that it
/// lies in: which one it is depends on chance.
/// 3. The IPv4 identification and the type of service are left out.
class Transcript {
 public:
  /// `range` is the one that the rules give to new ports, if any; `random` that they draw each of them.
  Transcript(PortRange range, bool random) : range_(range), random_(random) {}

  void add(Side from, const Bytes& sent, const std::vector<Emitted>& emitted);
  void add_wait(std::chrono::milliseconds time);
  /// Something that a probe has concluded from several packets.
  void add_finding(const std::string& what, const std::string& finding);

  const std::vector<Observation>& observations() const { return observations_; }
  /// A port that the router has made up may have been one that the probe uses, there or elsewhere. Probe again.
  bool ambiguous() const { return ambiguous_; }

 private:
  class Description;

  /// Identifiers of echoes have no range: any of the 65 536 may be made up.
  std::string port(std::uint16_t number, bool may_be_new, bool has_range = true);
  std::string range_of(std::uint16_t number) const;

  PortRange range_;
  bool random_;
  std::vector<Observation> observations_;
  std::set<std::uint16_t> used_;    ///< by the probe
  std::set<std::uint16_t> called_;  ///< from outside
  std::map<std::uint16_t, std::string> made_up_;
  std::chrono::milliseconds waited_{0};
  bool ambiguous_ = false;
};

}  // namespace flaresim::kernel
