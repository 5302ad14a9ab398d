#pragma once

// What the single tests share; only probe.cpp and the tests' own files see it.

#include <string>
#include <vector>

#include "sim/probe/bench.h"
#include "sim/probe/probe.h"
#include "sim/probe/report.h"

namespace flaresim::probe {

/// Where one transport is probed: each test takes a fresh bench, so that none disturbs another.
struct Ground {
  const MakeLab& make;
  const Options& options;
  Subject subject{};
  std::vector<std::uint16_t> remote_ports{};  ///< that may be contacted
  bool translates = true;
  io::Duration crossing{};  ///< of the labs
  LabRequest request{};     ///< of every lab that nothing else is asked of

  Bench bench() const { return {make(request), subject, remote_ports}; }
  /// Whether there are two remote ports to compare.
  bool has_two_ports() const { return remote_ports.size() > 1 && !subject.is_icmp(); }
};

inline Finding told(std::string key, Value value, std::string note = {}) {
  return {std::move(key), std::move(value), std::move(note)};
}
inline Finding untold(std::string key, std::string why) { return {std::move(key), {}, std::move(why)}; }
inline Finding on_off(std::string key, bool value) {
  return told(std::move(key), std::string(value ? "on" : "off"));
}

/// The word of a finding; empty for one that cannot be told.
std::string word(const Finding& finding);

// reach.cpp: what passes at all
std::vector<std::uint16_t> passable_ports(const Ground& ground);
Finding remote_ports(const Ground& ground, const std::vector<std::uint16_t>& passable);
bool translates(const Ground& ground);
Finding translation(const Ground& ground);
Finding pooling(const Ground& ground);
Finding captive(const MakeLab& make);

// mapping.cpp
Finding filtering(const Ground& ground);
struct MappingFindings {
  Finding mapping, reuse;
};
MappingFindings mapping(const Ground& ground, const std::string& filtering);
Finding reply(const Ground& ground, const std::string& mapping, const std::string& filtering);
/// What is known before hairpins are tried, and needed to judge silence.
struct HairpinContext {
  std::string mapping, filtering, ports;
  bool ports_limited = false;      ///< not every remote port passes
  bool answers_strangers = false;  ///< at once, with ICMP or TCP
  /// A packet that a filter refuses changes what comes after it: it is committed, denied, answered with a RST, or meets
  /// a SYN where simultaneous open is not supported.
  bool early_packets_harm = false;
};
Finding hairpin(const Ground& ground, const HairpinContext& known);

// ports.cpp
struct PortFindings {
  Finding assignment, step, contention, parity, contiguity, range;
};
PortFindings port_assignment(const Ground& ground);

// capacity.cpp
struct CapacityFindings {
  Finding per_host, total, when_full, block;
};
/// `denies`: who sends what the box has forgotten is not heard again.
CapacityFindings capacity(const Ground& ground, bool denies);

// unsolicited.cpp
struct DenyFindings {
  Finding seconds, key;
};
DenyFindings deny_list(const Ground& ground);
struct UnsolicitedFindings {
  Finding policy, delay_s;
};
UnsolicitedFindings unsolicited(const Ground& ground, const std::string& mapping,
                                const std::string& filtering, const std::string& ports,
                                const DenyFindings& deny);

// timers.cpp
/// A host that anybody reaches although it never sent a packet is behind no table.
bool needs_no_table(const Ground& ground);
std::vector<Finding> udp_timers(const Ground& ground);
std::vector<Finding> tcp_timers(const Ground& ground);
Finding echo_timer(const Ground& ground);

// tcp.cpp
Finding simultaneous_open(const Ground& ground);
Finding syn_ack_after_syn(const Ground& ground);
Finding out_of_state(const Ground& ground);

// box.cpp: what is asked with one transport for the whole box
Finding icmp_errors(const Ground& ground);
Finding echo(const Ground& ground);
Finding ttl_expired(const Ground& ground);
Finding hop_limit(const Ground& ground);
Finding fragments(const Ground& ground);
Finding checksums(const Ground& ground);

}  // namespace flaresim::probe
