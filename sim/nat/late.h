#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/nat/rules.h"

namespace flaresim::nat {

/// Answers to SYNs that nobody asked for, held back in case that our own SYN is about to go out. RFC 5382
/// REQ-4: that makes it a simultaneous open. One answer a flow, from its first SYN on; bounded.
class LateAnswers {
 public:
  using Flow = std::pair<Endpoint, Endpoint>;  ///< our outside endpoint and the remote one
  using Bytes = std::vector<std::uint8_t>;

  void add(const Flow& flow, Bytes answer, Time due) {
    if (answer.empty() || waiting_.size() >= most || !waiting_.emplace(flow, std::move(answer)).second)
      return;
    due_.emplace_back(due, flow);
  }
  void cancel(const Flow& flow) {
    if (waiting_.erase(flow) == 0) return;
    std::erase_if(due_, [&](const auto& entry) { return entry.second == flow; });
  }
  std::optional<Time> due() const {
    return due_.empty() ? std::nullopt : std::optional<Time>(due_.front().first);
  }
  std::vector<Bytes> take(Time now) {
    std::vector<Bytes> out;
    for (; !due_.empty() && due_.front().first <= now; due_.pop_front())
      out.push_back(std::move(waiting_.extract(due_.front().second).mapped()));
    return out;
  }

 private:
  static constexpr std::size_t most = 1024;
  std::map<Flow, Bytes> waiting_;
  std::deque<std::pair<Time, Flow>> due_;
};

/// Remotes that are neither heard nor talked to for a while. The longest listed goes when there are too many.
class DenyList {
 public:
  void add(const Endpoint& key, Time until) {
    if (const auto found = places_.find(key); found != places_.end()) {
      found->second->until = until;
      listed_.splice(listed_.end(), listed_, found->second);
      return;
    }
    if (listed_.size() >= most) drop_first();
    places_.emplace(key, listed_.insert(listed_.end(), {key, until}));
  }
  bool has(const Endpoint& key) const { return !places_.empty() && places_.contains(key); }
  void advance(Time now) {
    while (!listed_.empty() && listed_.front().until <= now) drop_first();
  }

 private:
  static constexpr std::size_t most = 65536;
  struct Entry {
    Endpoint key;
    Time until;
  };
  struct HashOf {
    std::size_t operator()(const Endpoint& key) const { return hash_of(key, {}); }
  };
  void drop_first() {
    places_.erase(listed_.front().key);
    listed_.pop_front();
  }
  std::list<Entry> listed_;  // by their end
  std::unordered_map<Endpoint, std::list<Entry>::iterator, HashOf> places_;
};

}  // namespace flaresim::nat
