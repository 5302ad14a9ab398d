#include "sim/world/network_pairs.h"

#include <algorithm>

#include "sim/world/upgrade.h"

namespace flaresim::world {

/// A looks for B, dials it, and B upgrades what comes of it.
class NetworkPairs::Attempt {
 public:
  Attempt(NetworkPairs& pairs, std::size_t a, std::size_t b)
      : pairs_(pairs),
        world_(pairs.world_),
        a_(a),
        b_(b),
        began_(world_.simulation().now()),
        limit_(world_.simulation()),
        upgrade_(world_.simulation(), progress_) {
    progress_.index = pairs.world_number_ * world_.spec().pairs->attempts + pairs.attempts_.size();
    progress_.world = pairs.world_number_;
    progress_.a = world_.members()[a].kind;
    progress_.b = world_.members()[b].kind;
    pairs_.busy_[a] = pairs_.busy_[b] = true;
  }

  void begin() {
    if (pairs_.timeline_) trace();
    upgrade_.watch(node(a_), node(b_), began_);
    limit_.arm_after(world_.spec().pairs->limit, [this] { end(upgrade_.so_far(), Cause::time_limit); });
    io::spawn(world_.simulation().executor(), run());
  }

  bool is_of(std::size_t number) const { return number == a_ || number == b_; }
  bool over() const { return row_.has_value(); }
  void cancel() { end(Outcome::cancelled, Cause::none); }
  const Trial& row() const { return *row_; }
  bool exchanged() const { return upgrade_.exchanged(); }

  bool found = false;

 private:
  node::Node& node(std::size_t number) { return *world_.members()[number].node; }

  io::Task<> run() {
    const auto target = node(b_).id();
    const auto dial = co_await node(a_).find_and_connect(target);
    if (over()) co_return;
    found = dial.connection || !dial.failures.empty();
    if (!dial.connection) {
      end(Outcome::no_connection, found ? Cause::peer_unreachable : Cause::peer_not_found);
      co_return;
    }
    took(Phase::connection, began_);
    if (dial.connection->relayed()) {
      name_relay(dial.connection->facts().remote_address);
      const auto since = world_.simulation().now();
      co_await upgrade_.finish();
      if (progress_.direct_after) took(Phase::punch, since);
    } else {
      co_await upgrade_.finish_direct();
    }
    end(progress_.outcome, progress_.cause);
  }

  void took(Phase phase, io::TimePoint since) {
    progress_.phases[static_cast<std::size_t>(phase)] = world_.simulation().now() - since;
  }

  void name_relay(const multiformats::Multiaddr& circuit) {
    const auto relay = circuit.relay();
    const auto peer = relay ? relay->peer_id() : std::nullopt;
    const auto number = peer ? world_.find(*peer) : std::nullopt;
    if (number) progress_.relay_region = world_.members()[*number].kind.region;
  }

  /// What comes later changes nothing any more.
  void end(Outcome outcome, Cause cause) {
    if (over()) return;
    limit_.cancel();
    progress_.outcome = outcome;
    progress_.cause = cause;
    progress_.dialability_a = dialability(a_);
    progress_.dialability_b = dialability(b_);
    row_ = progress_;
    upgrade_.abandon();
    pairs_.busy_[a_] = pairs_.busy_[b_] = false;
    for (const auto number : {a_, b_}) {
      if (pairs_.timeline_ && world_.members()[number].online()) node(number).swarm().set_trace({});
    }
  }

  Dialability dialability(std::size_t number) {
    const auto& member = world_.members()[number];
    const auto verdict = member.online() ? member.node->reachability() : swarm::Reachability::unknown;
    return {std::string(swarm::to_string(verdict)), member.dialable ? "public" : "private"};
  }

  void trace() {
    for (const auto& [number, name] : {std::pair{a_, "A"}, {b_, "B"}}) {
      node(number).swarm().set_trace([this, name = name](std::string_view what, const std::string& detail) {
        if (!over())
          progress_.timeline.push_back({world_.simulation().now() - began_, name, std::string(what), detail});
      });
    }
  }

  NetworkPairs& pairs_;
  NetworkWorld& world_;
  std::size_t a_;
  std::size_t b_;
  io::TimePoint began_;
  io::Timer limit_;
  Trial progress_;
  std::optional<Trial> row_;
  Upgrade upgrade_;
};

NetworkPairs::NetworkPairs(NetworkWorld& world, std::uint64_t world_number, io::Random random, bool timeline)
    : world_(world),
      world_number_(world_number),
      random_(std::move(random)),
      timeline_(timeline),
      busy_(world.members().size(), false) {
  world.on_leave([this](std::size_t number) { left(number); });
}
NetworkPairs::~NetworkPairs() = default;

void NetworkPairs::begin() {
  const auto& spec = *world_.spec().pairs;
  auto instants = random_.derive("instants");
  for (std::uint64_t i = 0; i < spec.attempts; ++i) {
    const auto at = instants.between(spec.from, world_.spec().duration - spec.limit);
    timers_.push_back(std::make_unique<io::Timer>(world_.simulation()));
    timers_.back()->arm_after(at, [this] { begin_one(); });
  }
}

void NetworkPairs::stop() {
  timers_.clear();
  for (auto& attempt : attempts_) {
    if (!attempt->over()) attempt->cancel();
  }
}

std::vector<std::size_t> NetworkPairs::candidates() const {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < busy_.size(); ++i) {
    const auto& member = world_.members()[i];
    if (member.studied && member.online() && !busy_[i]) numbers.push_back(i);
  }
  return numbers;
}

void NetworkPairs::begin_one() {
  auto others = candidates();
  if (others.empty()) {
    ++skipped_;
    return;
  }
  const auto a = others[random_.below(others.size())];
  auto& swarm = world_.members()[a].node->swarm();
  std::erase_if(others, [&](std::size_t b) { return b == a || swarm.connection_to(world_.members()[b].id); });
  if (others.empty()) {
    ++skipped_;
    return;
  }
  const auto b = others[random_.below(others.size())];
  attempts_.push_back(std::make_unique<Attempt>(*this, a, b));
  attempts_.back()->begin();
}

void NetworkPairs::left(std::size_t number) {
  for (auto& attempt : attempts_) {
    if (!attempt->over() && attempt->is_of(number)) attempt->cancel();
  }
}

std::vector<Trial> NetworkPairs::rows() const {
  std::vector<Trial> rows;
  for (const auto& attempt : attempts_) {
    if (attempt->over()) rows.push_back(attempt->row());
  }
  return rows;
}

Funnel NetworkPairs::funnel() const {
  Funnel funnel{.skipped = skipped_};
  for (const auto& attempt : attempts_) {
    if (!attempt->over()) continue;
    const auto& row = attempt->row();
    const bool relayed = row.relayed_after.has_value();
    ++funnel.attempts;
    funnel.found += attempt->found;
    funnel.connected += row.phases[static_cast<std::size_t>(Phase::connection)].has_value();
    funnel.relayed += relayed;
    funnel.exchanged += attempt->exchanged();
    if (row.outcome == Outcome::connection_reversed) ++(relayed ? funnel.reversed : funnel.dialled);
    funnel.punched += row.outcome == Outcome::success;
  }
  return funnel;
}

}  // namespace flaresim::world
