#include "sim/nat/tcp.h"

namespace flaresim::nat {

void TcpConnection::note(Direction direction, std::uint8_t flags) {
  const bool over = reset_ || both_sent(tcp_flag::fin);
  if (over && is_opening(flags)) *this = {};
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

}  // namespace flaresim::nat
