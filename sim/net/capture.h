#pragma once

#include <cstdint>
#include <ostream>

#include "sim/engine/simulation.h"
#include "sim/net/port.h"

namespace flaresim::net {

/// Writes packets as a pcap file: LINKTYPE_RAW (IPv4 and IPv6 mixed), nanosecond timestamps on the
/// simulation's calendar, little-endian on every machine. Same run, same bytes.
/// https://www.tcpdump.org/manpages/pcap-savefile.5.html
///
/// The stream outlives the capture, and the capture whatever it is attached to. The simulation must have been
/// made with checksums (std::logic_error), so that what is captured is valid.
class Capture {
 public:
  Capture(const engine::Simulation& simulation, std::ostream& out);

  void record(const ns3::Packet& packet);
  std::uint64_t packets() const { return packets_; }

 private:
  const engine::Simulation& simulation_;
  std::ostream& out_;
  std::uint64_t packets_ = 0;
};

}  // namespace flaresim::net
