#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocols/crypto/keys.h"
#include "protocols/io/signal.h"
#include "protocols/io/stream.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"
#include "protocols/muxer/muxed_connection.h"
#include "protocols/negotiation/multistream.h"
#include "protocols/security/security.h"

namespace flaresim::swarm {

enum class Direction { inbound, outbound };

/// What a relay allows on a circuit (libp2p/specs relay/circuit-v2.md "Limit"); an absent value is no limit.
struct CircuitLimit {
  std::optional<std::chrono::seconds> duration;
  std::optional<std::uint64_t> bytes;

  bool limits() const { return duration.has_value() || bytes.has_value(); }
};

/// A secured, multiplexed connection to a known peer.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Facts {
    std::uint64_t id = 0;  ///< unique in its swarm, in the order of appearance
    multiformats::PeerId remote;
    crypto::PublicKey remote_key;
    multiformats::Multiaddr local_address;
    multiformats::Multiaddr remote_address;
    Direction direction = Direction::outbound;
    security::Role role = security::Role::client;
    std::string security;  ///< protocol ids, as negotiated
    std::string muxer;
    bool relayed = false;
    /// Of a relayed connection. With any limit set, only protocols that opted in may use the connection.
    CircuitLimit limit;
    io::TimePoint opened_at;
  };

  Connection(io::Scheduler& scheduler, Facts facts, muxer::MuxedConnectionPtr muxed,
             negotiation::MultistreamProfile negotiation, io::Duration negotiation_limit);

  const Facts& facts() const { return facts_; }
  const multiformats::PeerId& remote() const { return facts_.remote; }
  bool relayed() const { return facts_.relayed; }
  bool limited() const { return facts_.limit.limits(); }

  /// A stream on which the remote agreed to one of `protocols`, within `limit` (none:
  /// `stream_negotiation_limit`). Does not look at the limits of a circuit: the swarm does.
  struct NegotiatedStream {
    io::StreamPtr stream;
    std::string protocol;
  };
  io::Task<io::Result<NegotiatedStream>> open_stream(std::vector<std::string> protocols,
                                                     std::optional<io::Duration> limit = std::nullopt);

  void close(std::error_code why);
  bool closed() const { return muxed_->closed(); }
  std::size_t streams() const { return muxed_->streams(); }

 private:
  friend class Swarm;

  static io::Task<io::Result<NegotiatedStream>> open_stream(std::shared_ptr<Connection> self,
                                                            std::vector<std::string> protocols,
                                                            io::Duration limit);

  io::Scheduler& scheduler_;
  Facts facts_;
  muxer::MuxedConnectionPtr muxed_;
  negotiation::MultistreamProfile negotiation_;
  io::Duration negotiation_limit_;
};

using ConnectionPtr = std::shared_ptr<Connection>;

}  // namespace flaresim::swarm
