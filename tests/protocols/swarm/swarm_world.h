#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "protocols/swarm/swarm.h"
#include "tests/protocols/node/memory_network.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::swarm {

/// A bare swarm on a host of its own, listening on port 4001.
struct Party {
  Party(support::MemoryHost& host, std::uint64_t key_number, const SwarmProfile& profile);

  const multiformats::PeerId& id() const { return swarm->id(); }
  multiformats::Multiaddr address() const;
  /// The only connection; fails the test when there is none or more than one.
  ConnectionPtr connection() const;

  support::MemoryHost& host;
  std::uint64_t key_number;
  std::unique_ptr<Swarm> swarm;
};

/// Bare swarms in a memory internet, 10 ms apart. Destroying it shuts all down, and expects that nothing is left
/// behind without any time passing.
class SwarmWorld {
 public:
  ~SwarmWorld();

  Party& add(const std::string& address, const SwarmProfile& profile = {}, const std::string& outside = "");
  /// The same peer once more, on another host.
  Party& add_twin(const Party& of, const std::string& address);
  support::Started<DialReport> dial(Party& from, DialRequest request) {
    return support::start(scheduler, from.swarm->dial(std::move(request)));
  }
  DialReport run_dial(Party& from, DialRequest request) { return run(from.swarm->dial(std::move(request))); }
  ConnectionPtr connect(Party& from, Party& to);
  /// From now on `from` reaches `to` through any circuit address. Nobody enforces the limit.
  void join_by_circuits(Party& from, Party& to, CircuitLimit limit);
  template <class T>
  T run(io::Task<T> task) {
    return support::run_task(scheduler, std::move(task));
  }

  support::TestScheduler scheduler;
  support::MemoryInternet internet{scheduler};
  std::vector<std::unique_ptr<Party>> parties;
};

/// What to dial: `to` by these addresses.
DialRequest request_for(const multiformats::PeerId& to, std::vector<std::string> addresses);
multiformats::Multiaddr parsed(const std::string& address);
/// A relay's address, as one that leads to whoever is behind it.
inline constexpr const char* circuit_address =
    "/ip4/9.9.9.9/tcp/4001/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA/p2p-circuit";

}  // namespace flaresim::swarm
