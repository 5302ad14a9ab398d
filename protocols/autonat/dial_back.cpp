#include "protocols/autonat/dial_back.h"

#include <utility>

namespace flaresim::autonat {

DialBacks::DialBacks(swarm::Swarm& main, std::string name) : main_(main), name_(std::move(name)) {}

DialBacks::Dialler::Dialler(DialBacks& all) : all_(all) {
  if (!all_.identity_) {
    auto random = all_.main_.network().random(all_.name_ + " identity");
    all_.identity_ = crypto::PrivateKey::generate(random);
  }
  auto profile = all_.main_.profile();
  profile.random_stream = all_.name_ + " " + std::to_string(++all_.made_);
  swarm_ = std::make_shared<swarm::Swarm>(all_.main_.network(), *all_.identity_, std::move(profile));
  all_.running_.push_back(swarm_);
}

DialBacks::Dialler::~Dialler() {
  swarm_->shut_down();
  all_.running_.remove(swarm_);
}

io::Task<swarm::DialReport> DialBacks::Dialler::dial(multiformats::PeerId peer,
                                                     std::vector<multiformats::Multiaddr> addresses,
                                                     io::Duration limit) {
  swarm::DialRequest request{peer, std::move(addresses), true, std::nullopt, limit};
  request.despite_backoff = true;
  return swarm_->dial(std::move(request));
}

void DialBacks::shut_down() {
  // A dial that ends takes its swarm off the list.
  for (const auto running = running_; const auto& swarm : running) swarm->shut_down();
}

}  // namespace flaresim::autonat
