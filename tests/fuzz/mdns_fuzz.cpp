// Raw bytes against what reads multicast DNS: the message, what a query wants of us, and whom a response tells of.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "protocols/mdns/announcement.h"

using Bytes = std::vector<std::uint8_t>;

namespace {

using namespace flaresim;

const mdns::Announcer& us() {
  static const auto announcer = mdns::Announcer::make("_p2p._udp.local", "us").value();
  return announcer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = mdns::decode(std::span(data, size));
  if (!message) return 0;
  for (const auto& found : us().read(*message)) {
    if (found.addresses.empty()) std::abort();
  }
  const swarm::AddressInfo self{multiformats::PeerId::from_public_key_message(Bytes(36)),
                                {multiformats::Multiaddr::from_string("/ip4/192.168.1.10/tcp/4001").value()}};
  if (!mdns::encode(us().answer(us().wanted_by(*message), self))) std::abort();
  (void)mdns::encode(us().legacy_answer(*message, self));
  // What was read can be written, and is read as the same; only pointers make it longer than a message may be.
  const auto again = mdns::encode(*message);
  if (!again && again.error() != mdns::DnsError::message_too_long) std::abort();
  if (again && mdns::decode(*again).value() != *message) std::abort();
  return 0;
}

/// A query, an answer, and a name that is pointed to twice.
std::vector<Bytes> first_inputs() {
  const swarm::AddressInfo self{
      multiformats::PeerId::from_public_key_message(Bytes(36)),
      {multiformats::Multiaddr::from_string("/ip4/192.168.1.10/tcp/4001").value(),
       multiformats::Multiaddr::from_string("/ip4/192.168.1.10/udp/4001/quic-v1").value()}};
  return {mdns::encode(us().query()).value(), mdns::encode(us().answer({.service = true}, self)).value(),
          mdns::encode(us().answer({.instance = true, .types = true}, self)).value(),
          mdns::encode(us().legacy_answer(us().query(), self)).value(), mdns::encode(us().goodbye()).value()};
}
