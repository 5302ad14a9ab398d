#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "protocols/swarm/swarm.h"

namespace flaresim::autonat {

/// Dials that shall look like a stranger's: with another peer id than ours, and from another port than those that we
/// listen on, so that no NAT lets them in for our sake. libp2p/specs autonat/autonat-v2.md, "Implementation Suggestions".
class DialBacks {
 public:
  /// `name` keeps the random numbers of several of these apart.
  DialBacks(swarm::Swarm& main, std::string name);

  /// A swarm for one dial-back. It listens nowhere, and ends with this, together with its connections.
  class Dialler {
   public:
    explicit Dialler(DialBacks& all);
    ~Dialler();
    Dialler(const Dialler&) = delete;
    Dialler& operator=(const Dialler&) = delete;

    /// To one of these addresses, directly, within `limit`.
    io::Task<swarm::DialReport> dial(multiformats::PeerId peer,
                                     std::vector<multiformats::Multiaddr> addresses, io::Duration limit);

   private:
    DialBacks& all_;
    std::shared_ptr<swarm::Swarm> swarm_;
  };

  void shut_down();

 private:
  swarm::Swarm& main_;
  std::string name_;
  std::optional<crypto::PrivateKey> identity_;  // made when it is first needed
  std::uint64_t made_ = 0;
  std::list<std::shared_ptr<swarm::Swarm>> running_;
};

}  // namespace flaresim::autonat
