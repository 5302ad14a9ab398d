#pragma once

#include <deque>
#include <map>

#include "protocols/autonat/v2.h"

namespace flaresim::autonat {

/// How many requests a server takes: a window of one minute that slides, and what is under way. go-libp2p
/// p2p/protocol/autonatv2/server.go rateLimiter. `now` never runs backwards.
class V2Limits {
 public:
  explicit V2Limits(const V2ServerProfile& profile) : profile_(profile) {}

  /// Counts a request that is begun, which `end` ends; false when it may not.
  bool begin(const multiformats::PeerId& peer, io::TimePoint now);
  void end(const multiformats::PeerId& peer);
  /// Counts a request for dial data; false when it may not be made.
  bool take_dial_data(io::TimePoint now);

 private:
  struct OfPeer {
    std::size_t recent = 0;
    std::size_t running = 0;
  };
  struct Request {
    io::TimePoint at;
    multiformats::PeerId peer;
  };
  void forget_old(io::TimePoint now);
  void drop_if_idle(const multiformats::PeerId& peer);

  V2ServerProfile profile_;
  std::map<multiformats::PeerId, OfPeer> peers_;
  std::deque<Request> requests_;
  std::deque<io::TimePoint> dial_data_;
};

}  // namespace flaresim::autonat
