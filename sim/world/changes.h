#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/io/random.h"
#include "sim/world/pair_world.h"
#include "sim/world/scenario.h"

namespace flaresim::world {

/// Makes a scenario's events happen in the world of one trial. Times that are not fixed come from a stream of
/// the event's own, so that an event more changes no other's. What happens at 0 s has happened once this is made.
class Changes {
 public:
  /// Tells of a change as it happens: where, what, and details.
  using Say = std::function<void(const std::string& node, std::string_view what, std::string detail)>;

  Changes(PairWorld& world, const std::vector<Change>& events, const io::Random& random, Say say);
  ~Changes();
  Changes(const Changes&) = delete;
  Changes& operator=(const Changes&) = delete;

 private:
  void make(const Change& change);
  std::string at_gateway(Gateway& gateway, const Change& change);
  std::string at_peer(Machine& machine, const Change& change);
  static std::string switch_nat(net::NatBox& box, const std::string& nat);

  PairWorld& world_;
  Say say_;
  std::vector<io::TimerId> timers_;
};

}  // namespace flaresim::world
