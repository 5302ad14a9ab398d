#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "protocols/multiformats/peer_id.h"

namespace flaresim::swarm {

/// How much protocols value peers. Whoever sets a tag takes it back; tags are by name, one value each.
class PeerTags {
 public:
  void tag(const multiformats::PeerId& peer, std::string_view name, int value);
  void untag(const multiformats::PeerId& peer, std::string_view name);
  /// While anybody protects a peer, its connections are never trimmed.
  void protect(const multiformats::PeerId& peer, std::string_view name);
  void unprotect(const multiformats::PeerId& peer, std::string_view name);

  int value(const multiformats::PeerId& peer) const;
  bool is_protected(const multiformats::PeerId& peer) const;

 private:
  std::map<multiformats::PeerId, std::map<std::string, int, std::less<>>> tags_;
  std::map<multiformats::PeerId, std::set<std::string, std::less<>>> protected_;
};

}  // namespace flaresim::swarm
