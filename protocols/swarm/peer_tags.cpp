#include "protocols/swarm/peer_tags.h"

namespace flaresim::swarm {
namespace {

/// Takes one name away, and the peer with the last one.
template <class Names>
void take_away(std::map<multiformats::PeerId, Names>& from, const multiformats::PeerId& peer,
               std::string_view name) {
  const auto names = from.find(peer);
  if (names == from.end()) return;
  if (const auto found = names->second.find(name); found != names->second.end()) names->second.erase(found);
  if (names->second.empty()) from.erase(names);
}

}  // namespace

void PeerTags::tag(const multiformats::PeerId& peer, std::string_view name, int value) {
  tags_[peer].insert_or_assign(std::string(name), value);
}

void PeerTags::untag(const multiformats::PeerId& peer, std::string_view name) {
  take_away(tags_, peer, name);
}

void PeerTags::protect(const multiformats::PeerId& peer, std::string_view name) {
  protected_[peer].emplace(name);
}

void PeerTags::unprotect(const multiformats::PeerId& peer, std::string_view name) {
  take_away(protected_, peer, name);
}

int PeerTags::value(const multiformats::PeerId& peer) const {
  const auto tags = tags_.find(peer);
  if (tags == tags_.end()) return 0;
  int sum = 0;
  for (const auto& [name, value] : tags->second) sum += value;
  return sum;
}

bool PeerTags::is_protected(const multiformats::PeerId& peer) const { return protected_.contains(peer); }

}  // namespace flaresim::swarm
