#pragma once

#include <string>
#include <string_view>
#include <system_error>

#include "protocols/dcutr/hole_puncher.h"
#include "protocols/relay/relay_client.h"
#include "protocols/swarm/address_info.h"
#include "protocols/swarm/connection.h"
#include "protocols/swarm/peer_store.h"
#include "protocols/swarm/reachability.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::os {

/// What a node prints: one line an event on stdout, for people, or one JSON object a line, whose member
/// `event` names it. Text that came from a remote is printed without control characters.
class NodeReport {
 public:
  explicit NodeReport(bool json) : json_(json) {}

  void listening(const multiformats::PeerId& self,
                 const std::vector<multiformats::Multiaddr>& addresses) const;
  void connected(const swarm::Connection& connection) const;
  void disconnected(const swarm::Connection& connection) const;
  void identified(const multiformats::PeerId& peer, const swarm::PeerInfo& info) const;
  /// What we know of a peer after it told us of a change.
  void updated(const multiformats::PeerId& peer, const swarm::PeerInfo& info) const;
  void pinged(const swarm::Connection& connection, io::Duration round_trip) const;
  /// `circuits`: where we can be reached now.
  void reserved(const relay::Reservation& reservation,
                const std::vector<multiformats::Multiaddr>& circuits) const;
  void reservation_lost(const multiformats::PeerId& relay, std::error_code why) const;
  void punched(const dcutr::PunchReport& punch) const;
  void dial_failed(const multiformats::PeerId& peer, const swarm::DialReport& dial) const;
  void failed(std::string_view what, std::error_code why) const;
  void reachability(swarm::Reachability reachability) const;
  void dht_joined() const;
  /// One after each thing that was asked of the DHT, unless it failed.
  void stored(std::string_view key) const;
  void value(std::string_view key, std::string_view value) const;
  void provided(std::string_view content) const;
  void providers(std::string_view content, const std::vector<swarm::AddressInfo>& providers) const;
  void found(const swarm::AddressInfo& peer) const;
  /// By multicast in the local network.
  void found_locally(const swarm::AddressInfo& peer) const;
  /// The task is done; whether the connection to the peer is direct.
  void done(const multiformats::PeerId& peer, bool direct) const;

 private:
  void told(std::string_view event, std::string_view member, std::string_view text) const;
  void located(std::string_view event, const swarm::AddressInfo& peer) const;
  void known(std::string_view event, const multiformats::PeerId& peer, const swarm::PeerInfo& info) const;

  bool json_;
};

}  // namespace flaresim::os
