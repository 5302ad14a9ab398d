#pragma once

#include <memory>
#include <string>
#include <vector>

#include "protocols/kademlia/dht.h"
#include "protocols/kademlia/message.h"
#include "tests/protocols/node/memory_network.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::kademlia {

inline constexpr const char* kad_protocol = "/ipfs/kad/1.0.0";

/// A swarm, identify and a DHT on a host of their own.
struct DhtPeer {
  DhtPeer(support::MemoryHost& host, std::uint64_t number, const DhtProfile& profile);

  const multiformats::PeerId& id() const { return swarm->id(); }
  multiformats::Multiaddr address() const;
  swarm::AddressInfo info() const { return {id(), {address()}}; }

  support::MemoryHost& host;
  std::shared_ptr<swarm::Swarm> swarm;
  identify::Identify identify;
  Dht dht;
  std::vector<LookupReport> lookups;
};

/// DHTs in a memory internet, each in a /16 of its own, 10 ms apart. Destroying it stops them all, and expects that
/// nothing is left behind.
class DhtWorld {
 public:
  ~DhtWorld();

  DhtPeer& add(Mode mode, const DhtProfile& profile = {});
  /// Connects and lets both sides say who they are, and check each other.
  swarm::ConnectionPtr connect(DhtPeer& from, DhtPeer& to);
  /// One request, on a stream of its own, over the connection that is there. Why there is no answer, else.
  io::Result<Message> ask(DhtPeer& from, DhtPeer& to, const Message& request);
  io::StreamPtr open(DhtPeer& from, DhtPeer& to);
  /// The closest of those that are servers, by comparing with all.
  std::vector<multiformats::PeerId> closest_servers(const Key& target, std::size_t count) const;
  template <class T>
  T run(io::Task<T> task) {
    return support::run_task(scheduler, std::move(task));
  }

  support::TestScheduler scheduler;
  support::MemoryInternet internet{scheduler};
  std::vector<std::unique_ptr<DhtPeer>> peers;
};

std::vector<multiformats::PeerId> ids_of(const std::vector<swarm::AddressInfo>& infos);
std::vector<multiformats::PeerId> ids_of(const std::vector<PeerEntry>& entries);

}  // namespace flaresim::kademlia
