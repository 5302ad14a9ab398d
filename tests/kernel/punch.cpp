#include "tests/kernel/punch.h"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>

#include "tests/kernel/addresses.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::kernel {
namespace {

using namespace nat::test;
using Time = std::chrono::milliseconds;

constexpr std::uint16_t port = 5000, server_port = 6000;

/// What happens when, in order.
class Schedule {
 public:
  void at(Time time, std::function<void()> action) { events_.push({time, number_++, std::move(action)}); }
  Time now() const { return now_; }

  /// `pass` lets time pass. Ends early when all is `over`.
  void run_until(Time end, const std::function<void(Time)>& pass, const std::function<bool()>& over) {
    while (!events_.empty() && events_.top().time <= end && !over()) {
      const Event event = events_.top();
      events_.pop();
      pass(event.time - now_);
      now_ = event.time;
      event.action();
    }
  }

 private:
  struct Event {
    Time time;
    std::size_t number;
    std::function<void()> action;
    bool operator<(const Event& other) const {
      return std::pair(time, number) > std::pair(other.time, other.number);
    }
  };
  std::priority_queue<Event> events_;
  std::size_t number_ = 0;
  Time now_{0};
};

/// A packet for one router as the other one sees it: each is "the remote" to the other. Swapping the addresses leaves
/// every checksum as it is, that of an ICMP error and of what it quotes too.
Bytes mirrored(Bytes packet) {
  const bool v6 = packet[0] >> 4 == 6;
  const auto source = packet.begin() + (v6 ? 8 : 12);
  const auto size = v6 ? 16 : 4;
  std::swap_ranges(source, source + size, source + size);
  const auto icmp = v6 ? packet[6] == 58 : packet[9] == 1;
  if (icmp) {
    const auto quotation = packet.begin() + (v6 ? 48 : 28);
    const Bytes quoted_packet = mirrored(Bytes(quotation, packet.end()));
    std::copy(quoted_packet.begin(), quoted_packet.end(), quotation);
  }
  return packet;
}

/// A peer, its router, and its end of the wire between the routers.
class Peer {
 public:
  Peer(Lab& router, bool ipv6, Transport transport, Schedule& schedule)
      : router_(router), ipv6_(ipv6), transport_(transport), schedule_(schedule) {}

  void connect_wire(Peer& to, Time one_way) { other_ = &to, one_way_ = one_way; }

  /// Where the server sees it.
  std::uint16_t observed_port() {
    const Host server{ipv6_ ? s6 : s4, server_port};
    const auto out = router_.send(Side::inside, make(server, SYN));
    return out.empty() ? port : read(out.front().packet).source.port;
  }

  void start(Time at, std::uint16_t remote_port) {
    remote_ = {ipv6_ ? r6 : r4, remote_port};
    const int times = transport_ == Transport::udp ? 8 : 1;
    for (int i = 0; i < times; ++i) schedule_.at(at + i * 100ms, [this] { send(SYN); });
  }

  bool succeeded() const { return state_ == State::connected; }
  bool failed() const { return state_ == State::refused; }

 private:
  enum class State { waiting, answered, connected, refused };

  Host self() const { return {ipv6_ ? a6 : a4, port}; }
  Bytes make(const Host& to, std::uint8_t flags) const {
    if (transport_ == Transport::udp) return udp(self(), to);
    const bool first = flags & SYN;
    return tcp(
        self(), to, flags,
        {.sequence = first ? 1000u : 1001u, .acknowledgement = flags & ACK ? 1001u : 0, .payload = {}});
  }

  void send(std::uint8_t flags) {
    started_ = true, pass_on(router_.send(Side::inside, make(remote_, flags)));
  }

  void pass_on(const std::vector<Emitted>& emitted) {
    for (const auto& [side, packet] : emitted) {
      if (side == Side::inside) {
        receive(packet);
      } else {
        auto arriving = mirrored(packet);
        schedule_.at(schedule_.now() + one_way_, [to = other_, arriving] { to->arrive(arriving); });
      }
    }
  }

  void arrive(const Bytes& packet) { pass_on(router_.send(Side::outside, packet)); }

  void receive(const Bytes& packet) {
    const auto header = read(packet);
    if (!started_ || header.source.address != remote_.address) return;
    if (header.protocol == 17) state_ = State::connected;
    const bool is_unreachable = header.protocol == (ipv6_ ? 58 : 1) && header.transport[0] == (ipv6_ ? 1 : 3);
    if (is_unreachable && transport_ == Transport::tcp && state_ == State::waiting) state_ = State::refused;
    if (header.protocol != 6) return;
    const auto flags = header.transport[13];
    if (flags & RST) {
      state_ = State::refused;
    } else if ((flags & (SYN | ACK)) == SYN && state_ == State::waiting) {
      state_ = State::answered;
      send(SYN | ACK);
    } else if (flags & ACK && state_ != State::connected) {
      state_ = State::connected;
      if (flags & SYN) send(ACK);
    }
  }

  Lab& router_;
  bool ipv6_;
  Transport transport_;
  Schedule& schedule_;
  Peer* other_ = nullptr;
  Time one_way_{0};
  Host remote_;
  bool started_ = false;
  State state_ = State::waiting;
};

}  // namespace

bool punch(Lab& first, Lab& second, bool ipv6, Transport transport, const PunchTiming& timing) {
  Schedule schedule;
  Peer a(first, ipv6, transport, schedule), b(second, ipv6, transport, schedule);
  a.connect_wire(b, timing.one_way);
  b.connect_wire(a, timing.one_way);
  const auto port_of_a = a.observed_port(), port_of_b = b.observed_port();
  const auto offset = timing.second_starts_after;
  a.start(std::max(-offset, Time(0)), port_of_b);
  b.start(std::max(offset, Time(0)), port_of_a);
  const auto pass = [&](Time time) {
    first.wait(time);
    second.wait(time);
  };
  const auto over = [&] { return (a.succeeded() && b.succeeded()) || a.failed() || b.failed(); };
  schedule.run_until(1000ms, pass, over);
  return a.succeeded() && b.succeeded();
}

}  // namespace flaresim::kernel
