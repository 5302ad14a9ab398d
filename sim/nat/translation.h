#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/nat/nat.h"

namespace flaresim::nat {

/// What a stateless translation makes of one packet.
struct Translated {
  enum class Outcome : std::uint8_t {
    untouched,   ///< none of its business: the packet goes on as it is
    translated,  ///< `packets` go on in its place
    dropped,     ///< for the reason in `rule`
  };
  Outcome outcome = Outcome::untouched;
  std::vector<std::vector<std::uint8_t>> packets{};
  std::vector<std::uint8_t> answer{};  ///< an ICMP error for the sender; empty for none
  Rule rule = Rule::passed;
};

/// A rewriting of whole packets that needs no table of connections: between IPv4 and IPv6 (RFC 7915), between
/// prefixes (RFC 6296), into and out of a tunnel (RFC 6333). Pure, like Nat: bytes in, bytes out.
///
/// 1. Bytes that are no packet are dropped; nothing that arrives does harm.
/// 2. Hop limits are left alone: whoever forwards the packet counts.
/// 3. Valid checksums stay valid, and absent UDP checksums over IPv4 (and their like over IPv6, in worlds that
///    count none) stay absent unless the translation says otherwise.
class HeaderTranslation {
 public:
  virtual ~HeaderTranslation() = default;
  /// Inside to outside.
  virtual Translated outbound(std::span<const std::uint8_t> packet) = 0;
  virtual Translated inbound(std::span<const std::uint8_t> packet) = 0;
};

inline Translated untouched() { return {}; }
inline Translated dropped(Rule rule) { return {.outcome = Translated::Outcome::dropped, .rule = rule}; }

}  // namespace flaresim::nat
