#include "sim/nat/tcp.h"

#include <array>
#include <cstddef>

namespace flaresim::nat {

void TcpConnection::note(Direction direction, std::uint8_t flags) {
  const bool over = reset_ || both_sent(tcp_flag::fin);
  if (over && is_opening(flags)) seen_[0] = seen_[1] = 0, reset_ = opened_ = false;
  if (reset_) return;
  if (direction == Direction::outbound && is_opening(flags)) opened_ = true;
  if (flags & tcp_flag::rst)
    reset_ = true;
  else
    seen_[static_cast<int>(direction)] |= flags & (tcp_flag::syn | tcp_flag::ack | tcp_flag::fin);
}

TcpConnection::Phase TcpConnection::phase() const {
  if (reset_) return Phase::reset;
  if (!both_sent(tcp_flag::syn | tcp_flag::ack)) return Phase::transitory;
  return both_sent(tcp_flag::fin) ? Phase::closing : Phase::established;
}

// Linux

namespace {

using enum TcpState;
/// No state but two outcomes that stand in the same places.
constexpr auto ignore = static_cast<TcpState>(10), refuse = static_cast<TcpState>(11);
using Row = std::array<TcpState, 10>;  // by the state before
using Rows = std::array<Row, 5>;       // by Sort

// clang-format off
//  none         syn_sent      syn_received  established  fin_wait     close_wait   last_ack     time_wait    closed       syns_crossed
constexpr Rows original_rows{{
  {syn_sent,     syn_sent,     ignore,       ignore,      ignore,      ignore,      ignore,      syn_sent,    syn_sent,    syns_crossed},  // SYN
  {refuse,       refuse,       syn_received, refuse,      refuse,      refuse,      refuse,      refuse,      refuse,      syn_received},  // SYN, ACK
  {refuse,       refuse,       fin_wait,     fin_wait,    last_ack,    last_ack,    last_ack,    time_wait,   closed,      refuse},        // FIN
  {established,  refuse,       established,  established, close_wait,  close_wait,  time_wait,   time_wait,   closed,      refuse},        // ACK
  {refuse,       closed,       closed,       closed,      closed,      closed,      closed,      closed,      closed,      closed},        // RST
}};
constexpr Rows reply_rows{{
  {refuse,       syns_crossed, refuse,       refuse,      refuse,      refuse,      refuse,      syn_sent,    refuse,      syns_crossed},
  {refuse,       syn_received, ignore,       ignore,      ignore,      ignore,      ignore,      ignore,      ignore,      syn_received},
  {refuse,       refuse,       fin_wait,     fin_wait,    last_ack,    last_ack,    last_ack,    time_wait,   closed,      refuse},
  {refuse,       ignore,       syn_received, established, close_wait,  close_wait,  time_wait,   time_wait,   closed,      ignore},
  {refuse,       closed,       closed,       closed,      closed,      closed,      closed,      closed,      closed,      closed},
}};
// clang-format on

}  // namespace

ConntrackTcp::Sort ConntrackTcp::sort_of(std::uint8_t flags) {
  if (flags & tcp_flag::rst) return flags & tcp_flag::syn ? Sort::other : Sort::rst;
  if (flags & tcp_flag::syn) {
    if (flags & tcp_flag::fin) return Sort::other;
    return flags & tcp_flag::ack ? Sort::syn_ack : Sort::syn;
  }
  if (flags & tcp_flag::fin) return flags & tcp_flag::ack ? Sort::fin : Sort::other;
  return flags & tcp_flag::ack ? Sort::ack : Sort::other;
}

TcpState ConntrackTcp::next(Direction direction, Sort sort) const {
  if (sort == Sort::other) return refuse;
  const bool first = state_ == none || direction == original_;
  return (first ? original_rows
                : reply_rows)[static_cast<std::size_t>(sort)][static_cast<std::size_t>(state_)];
}

/// The answer to a SYN that was ignored: the ends know of a connection that we do not.
bool ConntrackTcp::resumes(Direction direction, Sort sort) const {
  return sort == Sort::syn_ack && last_ == Sort::syn && last_direction_ != direction && state_ != syn_sent;
}

TcpStep ConntrackTcp::step(Direction direction, std::uint8_t flags) const {
  const Sort sort = sort_of(flags);
  const TcpState to = next(direction, sort);
  if (to == refuse) return TcpStep::invalid;
  if (to == ignore) return resumes(direction, sort) ? TcpStep::moves : TcpStep::ignored;
  if (to == syn_sent && (state_ == time_wait || state_ == closed)) {
    const bool was_reset_from_here = last_ == Sort::rst && last_direction_ == direction;
    return finishing_ || was_reset_from_here ? TcpStep::reopens : TcpStep::ignored;
  }
  return TcpStep::moves;
}

void ConntrackTcp::note(Direction direction, std::uint8_t flags) {
  const Sort sort = sort_of(flags);
  const TcpStep what = step(direction, flags);
  if (what == TcpStep::invalid) return;
  if (state_ == none) original_ = direction;
  if (what == TcpStep::moves) {
    state_ =
        resumes(direction, sort) && next(direction, sort) == ignore ? syn_received : next(direction, sort);
    finishing_ |= state_ == fin_wait;
  }
  last_ = sort;
  last_direction_ = direction;
}

}  // namespace flaresim::nat
