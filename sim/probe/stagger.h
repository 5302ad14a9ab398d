#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/probe/lab.h"
#include "sim/probe/packet.h"

namespace flaresim::probe {

/// One attempt of two hosts behind two boxes to reach each other, without retries: the second starts `offset` after
/// the first (before it, when negative).
struct Punch {
  io::Duration offset{};
  bool success = false;
};

/// A fresh lab with two boxes.
using MakePair = std::function<std::unique_ptr<Lab>()>;

/// Two-sided punches over a range of offsets: how exactly must the two sides' clocks agree?
///
/// Both learn their outside endpoints from an outside host, and each sends once to the other's. UDP: who hears
/// something answers it once; success is that both hear something. TCP: simultaneous open of RFC 9293 §3.5 between
/// ports that also listen; nothing is sent again, a RST or an ICMP unreachable ends the attempt; success is that both
/// are established.
std::vector<Punch> stagger(const MakePair& make, Protocol transport,
                           const std::vector<io::Duration>& offsets);

}  // namespace flaresim::probe
