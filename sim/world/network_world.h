#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "protocols/node/node.h"
#include "sim/engine/simulation.h"
#include "sim/net/host.h"
#include "sim/net/internet.h"
#include "sim/net/nat_box.h"
#include "sim/world/geography.h"
#include "sim/world/scenario.h"
#include "sim/world/world_data.h"

namespace flaresim::world {

/// A node of a network, whether or not it is online.
struct Member {
  bool is_public = false;
  PeerKind kind;          ///< as drawn; a public node has no NAT
  bool studied = false;   ///< may be in pairs
  bool dialable = false;  ///< strangers can open TCP connections to it, as its NAT is
  io::IpAddress address;  ///< outside
  io::Random random;      ///< its own
  multiformats::PeerId id;
  std::unique_ptr<net::NatBox> nat{};  ///< null for a public node

  std::unique_ptr<net::Host> host{};             ///< null while off
  std::unique_ptr<node::Node> node{};            ///< null while off
  std::uint64_t lives = 0;                       ///< starts so far
  io::TimePoint started{};                       ///< the last time
  std::optional<io::TimePoint> first_verdict{};  ///< of this life
  bool ever_public = false;                      ///< in its own eyes, in any life

  bool online() const { return node != nullptr; }
};

enum class Leave {
  closing,  ///< connections are closed, the host stays for a moment to say so
  silent,   ///< the line goes dead
};

/// Many nodes in one Internet, who come and go. What they do is up to them.
///
/// 1. Everything follows from the scenario and the random stream.
/// 2. The first `bootstrap` members are public, and known to all others. They are configured as public, as those of IPFS
/// are: a network in which nobody serves until others have found it to be public never begins.
/// 3. A member starts with fresh hosts and fresh sockets, and keeps its key and its addresses.
/// 4. Every node listens on TCP port 4001 (and QUIC where the scenario has it).
class NetworkWorld {
 public:
  static constexpr std::uint16_t port = 4001;
  /// How long a host that has left is kept, for what is on its way; nobody comes back sooner.
  static constexpr io::Duration linger = std::chrono::seconds(15);

  NetworkWorld(const Scenario& scenario, const WorldData& data, Geography& geography,
               const io::Random& random);
  ~NetworkWorld();
  NetworkWorld(const NetworkWorld&) = delete;
  NetworkWorld& operator=(const NetworkWorld&) = delete;

  engine::Simulation& simulation() { return simulation_; }
  net::Internet& internet() { return *internet_; }
  const NetworkSpec& spec() const { return *scenario_.network; }
  std::vector<Member>& members() { return members_; }
  /// The number of the member with that id.
  std::optional<std::size_t> find(const multiformats::PeerId& id) const;

  /// Called when a node is there and has not yet done anything, and before one is shut down.
  void on_start(std::function<void(std::size_t)> observer) { on_start_.push_back(std::move(observer)); }
  void on_leave(std::function<void(std::size_t)> observer) { on_leave_.push_back(std::move(observer)); }

  void start(std::size_t number);
  void leave(std::size_t number, Leave how);
  void shut_down();
  /// After `shut_down`: what nodes still hold, and those that left before held `linger` later, which should be nothing.
  std::uint64_t left_behind();

 private:
  struct Gone {
    std::unique_ptr<node::Node> node;
    std::unique_ptr<net::Host> host;
    io::TimePoint at;
  };

  void choose_studied();
  Member draw_member(std::size_t number, bool is_public);
  void draw_address(Member& member);
  void add_gateway(std::size_t number);
  void plug_in(std::size_t number);
  void listen(node::Node& node);
  net::Site site_of(const Member& member, const std::string& name);
  void bury();

  const Scenario& scenario_;
  const WorldData& data_;
  Geography& geography_;
  io::Random random_;
  engine::Simulation simulation_;
  std::unique_ptr<net::Internet> internet_;
  std::vector<Member> members_;
  std::map<multiformats::PeerId, std::size_t> numbers_;
  std::map<io::IpAddress, std::size_t> addresses_;
  std::vector<swarm::AddressInfo> bootstrap_;
  std::vector<std::function<void(std::size_t)>> on_start_;
  std::vector<std::function<void(std::size_t)>> on_leave_;
  std::vector<Gone> gone_;
  std::uint64_t left_by_gone_ = 0;
};

}  // namespace flaresim::world
