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

/// The window of a SYN is not scaled; an answer may be as much older (MAXACKWINDOW).
constexpr std::uint32_t most_window = 65535, most_old = 66000;

constexpr std::size_t index(Direction direction) { return static_cast<std::size_t>(direction); }

/// In the arithmetic of sequence numbers, RFC 9293 §3.4.
bool is_after(std::uint32_t number, std::uint32_t other) {
  return static_cast<std::int32_t>(number - other) > 0;
}

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

/// The first SYN of a direction, or one that takes the place of the last: a dial that is repeated with a higher number, or
/// another answer to it.
bool ConntrackTcp::begins(Direction direction, const TcpControl& control, const TcpSyns& syns) const {
  const auto& known = syns.ends[index(direction)];
  if (!known) return true;
  if (state_ != syn_sent) return false;
  return direction != original_ || is_after(control.sequence + 1, *known);
}

ConntrackTcp::Fit ConntrackTcp::fit(Direction direction, const TcpControl& control,
                                    const TcpSyns& syns) const {
  const auto& own = syns.ends[index(direction)];
  const auto& other = syns.ends[1 - index(direction)];
  if (!begins(direction, control, syns)) {
    if (is_after(control.sequence, *own)) return Fit::above;
    if (other && !is_after(control.sequence, *own - most_window - 2)) return Fit::below;
  }
  if ((control.flags & tcp_flag::ack) == 0 || !other) return Fit::within;
  if (is_after(control.acknowledged, *other)) return Fit::above;
  return is_after(control.acknowledged, *other - most_old - 1) ? Fit::within : Fit::below;
}

TcpStep ConntrackTcp::step(Direction direction, const TcpControl& control, const TcpSyns& syns) const {
  const Sort sort = sort_of(control.flags);
  const TcpState to = next(direction, sort);
  if (to == refuse) return TcpStep::invalid;
  if (to == ignore) {
    const bool moves = resumes(direction, sort) && control.acknowledged == syns.last_end;
    return moves ? TcpStep::moves : TcpStep::ignored;
  }
  if (to == syn_sent && (state_ == time_wait || state_ == closed)) {
    const bool was_reset_from_here = last_ == Sort::rst && last_direction_ == direction;
    return finishing_ || was_reset_from_here ? TcpStep::reopens : TcpStep::ignored;
  }
  if (!is_syn(sort)) return TcpStep::moves;
  switch (fit(direction, control, syns)) {
    case Fit::below:
      return TcpStep::ignored;
    case Fit::within:
      return TcpStep::moves;
    case Fit::above:
      return TcpStep::invalid;
  }
  return TcpStep::invalid;
}

void ConntrackTcp::note(Direction direction, const TcpControl& control, TcpSyns& syns) {
  const Sort sort = sort_of(control.flags);
  const TcpStep what = step(direction, control, syns);
  if (what == TcpStep::invalid) return;
  if (state_ == none) original_ = direction;
  if (what == TcpStep::moves) {
    const TcpState to = next(direction, sort);
    const bool resumed = to == ignore;
    if (resumed) syns.ends[index(last_direction_)] = syns.last_end;
    if (is_syn(sort) && (resumed || begins(direction, control, syns)))
      syns.ends[index(direction)] = control.sequence + 1;
    state_ = resumed ? syn_received : to;
    finishing_ |= state_ == fin_wait;
  }
  if (is_syn(sort)) syns.last_end = control.sequence + 1;
  last_ = sort;
  last_direction_ = direction;
}

}  // namespace flaresim::nat
