#pragma once

#include <memory>

#include "sim/nat/behaviour.h"
#include "sim/probe/lab.h"

namespace flaresim::probe {

/// Labs in which a simulated box of this behaviour stands between two wires: eight inside hosts, three outside ones,
/// IPv4 and IPv6, a millisecond from each wire to the box. One at a time, as there is one simulation at a time.
MakeLab simulated_labs(const nat::Behaviour& behaviour, std::uint64_t seed);

/// A lab with two boxes that face the same outside wire, `one_way` apart from each other.
std::unique_ptr<Lab> simulated_pair(const nat::Behaviour& box, const nat::Behaviour& other,
                                    io::Duration one_way, std::uint64_t seed);

}  // namespace flaresim::probe
