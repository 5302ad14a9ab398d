// Raw bytes against both sides of every kind of NAT and firewall, for libFuzzer: no input may crash one, trip a
// sanitizer, or leave anything behind when all timers have run out.
//
// An input is: the kind (1 byte), then packets, each with a header of 4 bytes: direction (bit 0) and whether the
// packet is made well-formed (bit 1), the time that passes before it (in units of 2^n ms, n the low 5 bits of
// byte 1), and its length (2 bytes).

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "sim/nat/nat.h"

namespace {

using namespace flaresim::nat;

constexpr std::array kinds{
    "EIM/EIF",
    "EIM/ADF/sequential,unsolicited=icmp,step=3,parity=on",
    "EIM/APDF/random,contiguity=on,unsolicited=delayed-icmp,hairpin=external,echo=answer",
    "ADM/APDF,unsolicited=commit-state,contention=overload,hairpin=internal",
    "APDM/EIF/random,reply=session,max_mappings=4,when_full=evict-oldest",
    "APDM/APDF/preserve,reuse=on,port_classes=on,tcp_tracking=linux,out_of_state=leak,hairpin=refuse,"
    "udp_stream_after=2s,udp_unsolicited=commit-state,tcp_unsolicited=reset,echo=answer",
    "APDM/ADF/random,max_mappings_per_host=3,when_full=evict-oldest,out_of_state=reset",
    "EIM/APDF/random,port_block=8,port_blocks=2,pooling=arbitrary,out_of_state=pick-up",
    "EIM/APDF,unsolicited=accept,deny_list=10s,syn_ack_after_syn=drop,fragments=ordered",
    "EIM/EIF,translate=off",
    "EIM/ADF,translate=off,udp_blocked=on",
    "EIM/APDF,translate=static",
    "EIM/EIF,translate=static,tcp_allowed_ports=80+443",
    "EIM/APDF,captive=on",
    "EIM/APDF,fragments=drop,ipv6_transparent=on,icmp_unsolicited=icmp-port",
};

constexpr std::array<std::uint8_t, 4> outside{198, 51, 100, 1}, inside{10, 0, 0, 2}, remote{203, 0, 113, 1};

Address mapped(std::array<std::uint8_t, 4> four, std::uint8_t add = 0) {
  Address address{};
  address[10] = address[11] = 0xff;
  std::copy(four.begin(), four.end(), address.begin() + 12);
  address[15] = static_cast<std::uint8_t>(address[15] + add);
  return address;
}

/// Keeps what the fuzzer says about transport headers and makes the rest of an IPv4 header plausible, with few
/// addresses, so that mappings meet.
void make_plausible(std::vector<std::uint8_t>& bytes, bool out) {
  if (bytes.size() < 20) return;
  bytes[0] = 0x45;
  bytes[2] = static_cast<std::uint8_t>(bytes.size() >> 8);
  bytes[3] = static_cast<std::uint8_t>(bytes.size());
  bytes[8] |= 2;
  constexpr std::array<std::uint8_t, 4> protocols{17, 6, 1, 17};
  bytes[9] = protocols[bytes[9] % 4];
  const auto spread = [&](std::size_t at, std::array<std::uint8_t, 4> address) {
    const auto last = static_cast<std::uint8_t>(address[3] + bytes[at + 3] % 3);
    std::copy(address.begin(), address.end(), bytes.begin() + static_cast<long>(at));
    bytes[at + 3] = last;
  };
  const bool hairpins = out && bytes[16] % 4 == 0;
  spread(12, out ? inside : remote);
  spread(16, out && !hairpins ? remote : outside);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::vector<Address> addresses{mapped(outside), mapped(outside, 1), mapped(outside, 2)};
  Nat nat(parse_behaviour(kinds[data[0] % kinds.size()]).value(), addresses, data[0]);
  std::span<const std::uint8_t> left(data + 1, size - 1);
  Time now{};
  const Forward forward{Transport::udp, 4001, {mapped(inside), 4001}};
  if (data[0] & 0x80) (void)nat.open_forward(forward, now);
  while (left.size() >= 4) {
    const std::uint8_t how = left[0];
    now += std::chrono::milliseconds(std::int64_t{1} << (left[1] & 0x1f)) / 64;
    const std::size_t length = std::min<std::size_t>(left[2] % 8 * 256u + left[3], left.size() - 4);
    std::vector<std::uint8_t> packet(left.begin() + 4, left.begin() + 4 + static_cast<long>(length));
    left = left.subspan(4 + length);
    const bool out = how & 1;
    if (how & 2) make_plausible(packet, out);
    const auto verdict = out ? nat.outbound(packet, now) : nat.inbound(packet, now);
    if (verdict.forward && !verdict.answer.empty()) std::abort();
    if (const auto due = nat.due(); due && *due <= now) (void)nat.emit(now);
  }
  (void)nat.close_forward(Transport::udp, 4001);
  if (nat.size(now + std::chrono::hours(200)) != 0) std::abort();
  return 0;
}
