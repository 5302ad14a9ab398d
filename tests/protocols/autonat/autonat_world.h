#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "protocols/autonat/v1.h"
#include "protocols/autonat/v2.h"
#include "tests/protocols/node/world.h"

namespace flaresim::autonat {

/// A server's answers, given in their order and the last one again and again, and what it was asked.
struct Script {
  std::deque<io::Bytes> answers;  // with their frames; an empty one is silence
  std::vector<io::Bytes> requests;
};

/// Nodes, some of which speak AutoNAT.
struct AutonatWorld : support::World {
  /// The swarm of a node, which lives as long as the world.
  static std::shared_ptr<swarm::Swarm> swarm_of(support::Peer& peer) {
    return {std::shared_ptr<void>(), &peer.swarm()};
  }
  std::unique_ptr<V1Client> v1_client(support::Peer& peer, V1ClientProfile profile = {});
  std::unique_ptr<V2Client> v2_client(support::Peer& peer, V2ClientProfile profile = {});
  std::unique_ptr<V1Server> v1_server(support::Peer& peer, V1ServerProfile profile = {});
  std::unique_ptr<V2Server> v2_server(support::Peer& peer, V2ServerProfile profile = {});
  /// Speaks `protocol` as the script says.
  std::shared_ptr<Script> script(support::Peer& peer, std::string_view protocol,
                                 std::vector<io::Bytes> answers);
  /// From now on also listens on QUIC, at the same port number; where others reach it.
  multiformats::Multiaddr listen_quic(support::Peer& peer);
  /// What `from` is answered when it sends these bytes, or why nothing.
  io::Result<io::Bytes> ask(support::Peer& from, support::Peer& to, std::string_view protocol,
                            const io::Bytes& bytes);
  /// Seconds since the world began, at which `peer` traced that.
  std::vector<double> seconds_of(const support::Peer& peer, std::string_view what) const;
  double seconds() const { return std::chrono::duration<double>(scheduler.now().time_since_epoch()).count(); }
};

multiformats::Multiaddr parsed(const std::string& address);
io::Bytes bytes_of(const multiformats::PeerId& peer);
io::Bytes fixed64_field(int number, std::uint64_t value);

}  // namespace flaresim::autonat
