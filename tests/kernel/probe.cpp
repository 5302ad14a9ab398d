#include "tests/kernel/probe.h"

#include "tests/kernel/addresses.h"

namespace flaresim::kernel {

using namespace nat::test;

Probe::Probe(Lab& lab, Transcript& transcript, bool ipv6)
    : a(ipv6 ? a6 : a4),
      b(ipv6 ? b6 : b4),
      r(ipv6 ? r6 : r4),
      s(ipv6 ? s6 : s4),
      m(ipv6 ? m6 : m4),
      front(ipv6 ? a6 : wan4),
      lab_(lab),
      transcript_(transcript) {}

std::vector<Emitted> Probe::send(Side from, const Bytes& packet) {
  auto emitted = lab_.send(from, packet);
  transcript_.add(from, packet, emitted);
  return emitted;
}

void Probe::wait(std::chrono::milliseconds time) {
  lab_.wait(time);
  transcript_.add_wait(time);
}

Host Probe::out(const Bytes& packet) {
  for (const auto& [side, emitted] : send(Side::inside, packet))
    if (side == Side::outside) return read(emitted).source;
  return read(packet).source;
}

bool Probe::in(const Bytes& packet) {
  for (const auto& emitted : send(Side::outside, packet))
    if (emitted.side == Side::inside) return true;
  return false;
}

Host Probe::udp_out(const Host& from, const Host& to) { return out(udp(from, to)); }

bool Probe::udp_in(const Host& from, const Host& to) { return in(udp(from, to)); }

Connection::Connection(Probe& probe, Host inside, Host outside, std::uint32_t inside_number,
                       std::uint32_t outside_number)
    : probe_(probe),
      inside_(std::move(inside)),
      outside_(std::move(outside)),
      mapped_{probe.front, inside_.port},
      inside_end_{inside_number},
      outside_end_{outside_number} {}

TcpFields Connection::fields(End& sender, const End& receiver, std::uint8_t flags,
                             std::size_t payload_bytes) {
  if (flags & SYN) sender.next = sender.first;
  TcpFields fields{.sequence = sender.next,
                   .acknowledgement = flags & ACK ? receiver.next : 0,
                   .payload = Bytes(payload_bytes, 'x')};
  sender.next += static_cast<std::uint32_t>(payload_bytes) + (flags & (SYN | FIN) ? 1 : 0);
  return fields;
}

void Connection::out(std::uint8_t flags, std::size_t payload_bytes) {
  mapped_ =
      probe_.out(tcp(inside_, outside_, flags, fields(inside_end_, outside_end_, flags, payload_bytes)));
}

void Connection::in(std::uint8_t flags, std::size_t payload_bytes) {
  probe_.in(tcp(outside_, mapped_, flags, fields(outside_end_, inside_end_, flags, payload_bytes)));
}

void Connection::refuse_from_outside() {
  probe_.in(tcp(outside_, mapped_, RST | ACK, {.sequence = 0, .acknowledgement = inside_end_.next}));
}

void Connection::open() {
  out(SYN);
  in(SYN | ACK);
  out(ACK);
}

void Connection::open_and_close() {
  open();
  out(ACK, 4);
  in(FIN | ACK);
  out(FIN | ACK);
  in(ACK);
}

}  // namespace flaresim::kernel
