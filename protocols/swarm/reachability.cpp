#include "protocols/swarm/reachability.h"

namespace flaresim::swarm {

std::string_view to_string(Reachability reachability) {
  switch (reachability) {
    case Reachability::reachable:
      return "public";
    case Reachability::unreachable:
      return "private";
    case Reachability::unknown:
      break;
  }
  return "unknown";
}

}  // namespace flaresim::swarm
