#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "protocols/io/network.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/swarm/reachability.h"

namespace flaresim::swarm {

/// How observed addresses are judged.
struct ObservedAddressProfile {
  int observers_to_advertise = 4;    // go-libp2p p2p/host/observedaddrs/manager.go ActivationThresh
  int observers_to_punch = 1;        // go-libp2p p2p/host/basic/addrs_manager.go HolePunchAddrs
  std::size_t max_per_listener = 3;  // ... maxExternalThinWaistAddrsPerLocalAddr
};

/// Under which addresses this peer can be reached, as far as it can tell.
///
/// 1. An observation counts only while the connection it came over lives, and only if that connection leaves
///    from a port that we listen on: what others see of an ephemeral port says nothing about the listener.
/// 2. Observers are counted by IPv4 address, or IPv6 /56, so that one host cannot pose as many.
/// 3. Nor does it count while that connection's local address is none that we listen on any more, as after a move to
///    another network.
/// 4. What another peer sees over a relay is the relay's address, and is not counted.
class OwnAddresses {
 public:
  explicit OwnAddresses(ObservedAddressProfile profile) : profile_(profile) {}

  void set_listening(std::vector<multiformats::Multiaddr> addresses);
  void set_circuits(std::vector<multiformats::Multiaddr> addresses);
  /// What a gateway says it forwards to us. Only public ones are of use: behind a second NAT the gateway tells an address
  /// that the Internet does not know.
  void set_mapped(std::vector<multiformats::Multiaddr> addresses);

  /// What probes have shown of our addresses. What is known to be unreachable is advertised no more, and while anything is
  /// reachable, circuits are not.
  void set_reachability(std::map<multiformats::Multiaddr, Reachability> verdicts);

  /// Whether nobody can dial us, by a verdict on the whole node (AutoNAT v1) where addresses are not probed by themselves:
  /// then, while there are circuits, public addresses are not advertised. Who dials one in vain leaves state in its own
  /// NAT that a punch which follows may fail on. Source: go-libp2p p2p/host/basic/addrs_manager.go, getDialableAddrs.
  void set_private(bool is_private);

  /// `local` is our end of the connection over which the remote at `observer` reported `observed`.
  void observe(std::uint64_t connection, const multiformats::Multiaddr& local, const io::IpAddress& observer,
               const multiformats::Multiaddr& observed);
  /// The connection has ended.
  void forget(std::uint64_t connection);

  const std::vector<multiformats::Multiaddr>& listening() const { return listening_; }
  const std::vector<multiformats::Multiaddr>& circuits() const { return circuits_; }
  /// For identify: interfaces, mapped ports, well-observed addresses, circuits, as far as verdicts let them.
  std::vector<multiformats::Multiaddr> advertised() const { return advertised_; }
  /// What there is to probe: public addresses of interfaces, mapped ports and well-observed addresses, without circuits,
  /// whatever probes have shown.
  std::vector<multiformats::Multiaddr> probeable() const;
  /// For DCUtR: public addresses of interfaces, mapped ports, and observed public addresses, without circuits.
  std::vector<multiformats::Multiaddr> punchable() const;

  /// Called after `advertised()` has changed.
  void on_change(std::function<void()> callback) { changed_.push_back(std::move(callback)); }

 private:
  struct Observation {
    multiformats::Multiaddr local;
    multiformats::Multiaddr observed;
    std::string observer;  // the group that counts as one
  };
  /// One address of a listener, as others see it.
  struct Sighting {
    multiformats::Multiaddr local;
    multiformats::Multiaddr observed;
    std::map<std::string, int> observers;  // groups, and how many connections of each say so
  };
  std::vector<Sighting>::iterator find(const Observation& observation);
  void count(const Observation& observation);
  void discount(const Observation& observation);
  std::vector<multiformats::Multiaddr> observed_by(int observers) const;
  std::vector<multiformats::Multiaddr> find_known() const;
  std::vector<multiformats::Multiaddr> find_advertised() const;
  template <class Change>
  void change(Change&& apply);

  ObservedAddressProfile profile_;
  std::vector<multiformats::Multiaddr> listening_;
  std::vector<multiformats::Multiaddr> mapped_;
  std::vector<multiformats::Multiaddr> circuits_;
  std::map<std::uint64_t, Observation> observations_;  // by connection
  std::vector<Sighting> sightings_;                    // the sum of these; the oldest first
  std::map<multiformats::Multiaddr, Reachability> reachability_;
  bool private_ = false;
  // Of what stands above; asked for far more often than it changes.
  std::vector<multiformats::Multiaddr> known_;  ///< interfaces, mapped ports, well-observed addresses
  std::vector<multiformats::Multiaddr> advertised_;
  std::vector<std::function<void()>> changed_;
};

}  // namespace flaresim::swarm
