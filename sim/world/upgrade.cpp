#include "sim/world/upgrade.h"

#include <algorithm>

namespace flaresim::world {
namespace {

using io::Duration;

Cause cause_of_failure(const dcutr::PunchReport& report) {
  if (report.attempts.empty() || !report.attempts.back().dialled_at) {
    const auto cause = report.attempts.empty() ? report.cause : report.attempts.back().cause;
    if (cause == dcutr::Error::no_address_to_send || cause == dcutr::Error::no_usable_address ||
        cause == std::errc::connection_reset) {
      return Cause::no_address_to_send;
    }
    if (cause == negotiation::Error::no_protocol) return Cause::stream_refused;
    if (cause == dcutr::Error::relayed_connection_lost) return Cause::relayed_connection_lost;
    return Cause::protocol_error;
  }
  const auto& failures = report.attempts.back().failures;
  const auto any = [&](auto&& holds) { return std::any_of(failures.begin(), failures.end(), holds); };
  // B is the server of the pair: connected, and then nothing said, means that A waits for B as well.
  if (any([](const auto& f) { return f.connected && f.why == std::errc::timed_out; }))
    return Cause::both_servers;
  if (any([](const auto& f) { return f.connected; })) return Cause::security_failed;
  if (any([](const auto& f) { return f.why == std::errc::connection_refused; })) return Cause::refused;
  return Cause::silence;
}

}  // namespace

void Upgrade::watch(node::Node& a, node::Node& b, io::TimePoint began) {
  a_ = &a;
  b_ = &b;
  began_ = began;
  b_->hole_puncher().on_report([this, from = a.id()](const dcutr::PunchReport& report) {
    if (abandoned_ || report_ || report.peer != from || report.side != dcutr::Side::opener) return;
    if (!concludes(report)) return;
    report_ = report;
    progress_.notify_all();
  });
  b_->hole_puncher().on_sync([this, to = a.id()](const multiformats::PeerId& peer) {
    if (!abandoned_ && peer == to) exchanged_ = true;
  });
  a_->swarm().on_connected([this](const swarm::ConnectionPtr&) { progress_.notify_all(); });
}

/// A peer that is dialled over several relays at once may get as many connections. One of them is upgraded; the reports of
/// the others end nothing.
bool Upgrade::concludes(const dcutr::PunchReport& report) const {
  if (report.cause == dcutr::Error::already_active) return false;
  const bool begun = report.outcome != dcutr::Outcome::not_started;
  return begun || report.cause != dcutr::Error::relayed_connection_lost ||
         !b_->swarm().connection_to(a_->id());
}

io::Task<> Upgrade::finish() {
  if (abandoned_) co_return;
  trial_.relayed_after = since_began();
  while (!report_ && !abandoned_) co_await progress_.wait();
  if (abandoned_) co_return;
  if (report_->cause == dcutr::Error::direct_connection_exists) {
    co_await finish_direct();
    if (trial_.outcome == Outcome::connection_reversed)
      trial_.direct_after = since_began() - *trial_.relayed_after;
    co_return;
  }
  co_await conclude(*report_, since_began());
}

io::Task<> Upgrade::finish_direct() {
  if (!co_await carries_data()) {
    end(Outcome::failed, Cause::security_failed);
    co_return;
  }
  const auto connection = a_->swarm().direct_connection_to(b_->id());
  const auto quic =
      connection && connection->facts().remote_address.transport() == multiformats::Transport::quic_v1;
  trial_.transport = to_string(quic ? Transport::quic : Transport::tcp);
  end(Outcome::connection_reversed, Cause::none);
}

io::Task<> Upgrade::conclude(dcutr::PunchReport report, Duration reported_at) {
  trial_.attempts = static_cast<int>(report.attempts.size());
  if (const auto rtt = report.round_trip(); rtt > Duration::zero()) trial_.relayed_rtt = rtt;

  if (report.outcome == dcutr::Outcome::reversed || report.outcome == dcutr::Outcome::punched) {
    if (co_await carries_data()) {
      end(report.outcome == dcutr::Outcome::reversed ? Outcome::connection_reversed : Outcome::success,
          Cause::none);
      const auto quic = report.transport == multiformats::Transport::quic_v1;
      trial_.transport = to_string(quic ? Transport::quic : Transport::tcp);
      trial_.direct_after = reported_at - *trial_.relayed_after;
    } else {
      end(Outcome::failed, Cause::security_failed);
    }
    co_return;
  }
  end(so_far(), cause_of_failure(report));
}

Outcome Upgrade::so_far() const {
  if (!trial_.relayed_after) return Outcome::no_connection;
  return exchanged_ ? Outcome::failed : Outcome::no_stream;
}

/// A direct connection counts when it carries data both ways.
io::Task<bool> Upgrade::carries_data() {
  const auto& b = b_->id();
  auto& a = *a_;
  const auto deadline = scheduler_.now() + settle_limit;
  bool in_time = true;
  while (in_time && !a.swarm().direct_connection_to(b)) {
    in_time = co_await progress_.wait_until(deadline);
    if (abandoned_) co_return false;
  }
  const auto connection = a.swarm().direct_connection_to(b);
  if (!connection) co_return false;
  const auto rtt = co_await a.ping().ping(connection);
  if (!rtt || abandoned_) co_return false;
  trial_.direct_rtt = *rtt;
  co_return true;
}

void Upgrade::end(Outcome outcome, Cause cause) {
  if (abandoned_) return;
  trial_.outcome = outcome;
  trial_.cause = cause;
}

}  // namespace flaresim::world
