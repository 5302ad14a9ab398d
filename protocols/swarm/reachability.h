#pragma once

#include <string_view>

namespace flaresim::swarm {

/// Whether others can open connections to us, or to one address of ours, without our doing. Of a whole peer the
/// field says public and private.
enum class Reachability { unknown, reachable, unreachable };
/// `unknown`, `public`, `private`
std::string_view to_string(Reachability reachability);

}  // namespace flaresim::swarm
