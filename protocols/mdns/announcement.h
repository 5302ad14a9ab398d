#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "protocols/io/random.h"
#include "protocols/mdns/dns_message.h"
#include "protocols/swarm/address_info.h"

/// What libp2p peers say to each other in DNS messages. Source: libp2p/specs discovery/mdns.md.
namespace flaresim::mdns {

/// 32 characters of a–z and 0–9. Not the peer id: that may one day be longer than a label.
std::string random_peer_name(io::Random& random);

/// What of ourselves is asked for.
struct Wanted {
  bool service = false;   ///< `<service> PTR`: who is there
  bool instance = false;  ///< `<peer-name>.<service> TXT`: where we are
  bool types = false;     ///< `_services._dns-sd._udp.local PTR`: which services there are (RFC 6763 §9)

  bool any() const { return service || instance || types; }
  void merge(const Wanted& other);
};

/// Who we are, in names and in addresses.
struct Announcer {
  /// How long what we say is to be believed. The specification leaves it open; go-libp2p's zeroconf library says 120 s
  /// as RFC 6762 §10 does of records with host names.
  static constexpr std::chrono::seconds ttl{120};
  /// To those who are no multicast DNS queriers, no more than this (RFC 6762 §6.7).
  static constexpr std::chrono::seconds legacy_ttl{10};
  /// Addresses beyond this are left unsaid: with names and header, a message stays in one packet of 1 500 bytes
  /// (RFC 6762 §17).
  static constexpr std::size_t max_text_bytes = 1200;

  /// Whose error is that of `service` as a name.
  static io::Result<Announcer> make(std::string_view service, std::string_view peer_name);

  Name service;
  Name instance;

  DnsMessage query() const;
  /// What a query wants of us. Nothing of what its own answers say it knows, for at least half as long as we would tell
  /// it (RFC 6762 §7.1).
  Wanted wanted_by(const DnsMessage& query) const;
  /// Without addresses, or with nothing wanted, an empty message.
  DnsMessage answer(const Wanted& wanted, const swarm::AddressInfo& self) const;
  /// The same for a querier that is none of multicast DNS: it has its own id and question back.
  DnsMessage legacy_answer(const DnsMessage& query, const swarm::AddressInfo& self) const;
  /// We are gone (RFC 6762 §10.1).
  DnsMessage goodbye() const;
  /// Peers that a response tells of, in the order of the first mention, each with addresses that we can dial. Anything
  /// else in it is left out, for other implementations may say more than we understand.
  std::vector<swarm::AddressInfo> read(const DnsMessage& response) const;
};

}  // namespace flaresim::mdns
