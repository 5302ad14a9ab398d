#pragma once

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "protocols/autonat/v2.h"

namespace flaresim::autonat {

/// What is known of each of our addresses, and what to ask about next. go-libp2p
/// p2p/host/basic/addrs_reachability_tracker.go probeManager, addrStatus. `now` never runs backwards.
class V2Probes {
 public:
  using Verdicts = std::map<multiformats::Multiaddr, swarm::Reachability>;
  /// Addresses to ask one server about, the one that matters first.
  using Probe = std::vector<multiformats::Multiaddr>;
  struct Outcome {
    multiformats::Multiaddr address;
    bool reachable = false;
  };

  explicit V2Probes(const V2ClientProfile& profile) : profile_(profile) {}

  /// The addresses to know about from now on, the first `max_addresses` of them. What is known of others is forgotten.
  void track(std::vector<multiformats::Multiaddr> addresses);
  /// Whether to track these would change nothing.
  bool tracks(const std::vector<multiformats::Multiaddr>& addresses) const;
  bool empty() const { return addresses_.empty(); }

  /// Empty when nothing needs to be asked. Does not count as under way until it is begun.
  Probe next(io::TimePoint now);
  void begin(const Probe& probe);
  /// Ends it without a result.
  void end(const Probe& probe);
  /// The server would dial none of the addresses.
  void end_refused(const Probe& probe, io::TimePoint now);
  /// The server has dialled one of the addresses.
  void end(const Probe& probe, const Outcome& outcome, io::TimePoint now);

  Verdicts verdicts(io::TimePoint now);

 private:
  struct Dialled {
    io::TimePoint at;
    bool reachable = false;
  };
  struct Status {
    std::deque<Dialled> outcomes;
    std::deque<io::TimePoint> dials;
    std::size_t refusals = 0;  // in a row
    io::TimePoint last_refusal{};
  };

  int confidence(const Status& status) const;
  swarm::Reachability reachability(const Status& status) const;
  int needed(Status& status, io::TimePoint now) const;
  int needed_for_confidence(const Status& status, io::TimePoint now) const;
  void refused(const multiformats::Multiaddr& address, io::TimePoint now);

  V2ClientProfile profile_;
  std::map<multiformats::Multiaddr, Status> addresses_;
  std::map<multiformats::Multiaddr, int> under_way_;  // by the first address of the probe
};

}  // namespace flaresim::autonat
