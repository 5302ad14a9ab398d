#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "protocols/io/bytes.h"
#include "protocols/io/network.h"
#include "protocols/io/result.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::multiformats {

/// Codes of the multicodec table (multiformats/multicodec table.csv, tag `multiaddr`).
enum class Protocol : std::uint32_t {
  ip4 = 4,
  tcp = 6,
  ip6 = 41,
  ip6zone = 42,
  dns = 53,
  dns4 = 54,
  dns6 = 55,
  dnsaddr = 56,
  udp = 273,
  webrtc_direct = 280,
  p2p_circuit = 290,
  p2p = 421,
  tls = 448,
  sni = 449,
  noise = 454,
  quic = 460,
  quic_v1 = 461,
  webtransport = 465,
  certhash = 466,
  ws = 477,
  wss = 478,
  http = 480,
};

/// Name as in the text form.
std::string_view to_string(Protocol protocol);

enum class MultiaddrError {
  empty = 1,
  no_leading_slash,     ///< text only
  unknown_protocol,     ///< well-formed perhaps, but of no protocol listed above: skip this address
  missing_value,        ///< text ends, or `//` follows, where the protocol wants a value
  bad_value,            ///< a value that is not one of its protocol
  bad_varint,           ///< code or length of a component, binary only
  truncated,            ///< binary ends inside a component's value
  too_long,             ///< more than `Multiaddr::max_bytes`
  too_many_components,  ///< more than `Multiaddr::max_components`
};
std::error_code make_error_code(MultiaddrError error);

/// One step of an address. The value points into the address.
struct Component {
  Protocol protocol;
  io::BytesView value;  ///< without its length prefix; empty for protocols without a value

  /// As between the slashes; empty for protocols without a value.
  std::string value_text() const;
};

/// How an address is dialled.
enum class Transport {
  tcp,      ///< plain TCP
  quic_v1,  ///< QUIC version 1 (RFC 9000)
  circuit,  ///< through a relay
  other,    ///< known in form, not spoken here
};

/// A self-describing network address, such as `/ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…`, in its binary form.
/// Never empty, always well-formed. Source: multiformats/multiaddr; libp2p/specs addressing/README.md.
class Multiaddr {
 public:
  /// Limits on what is parsed; `encapsulate` may exceed them.
  static constexpr std::size_t max_bytes = 1024;
  static constexpr std::size_t max_text_characters = 4096;
  static constexpr std::size_t max_components = 24;

  /// Accepts `/ipfs/` for `/p2p/`, and slashes at the end.
  static io::Result<Multiaddr> from_string(std::string_view text);
  static io::Result<Multiaddr> from_bytes(io::BytesView bytes);

  /// `/ip4|ip6/…/tcp/…` or `/ip4|ip6/…/udp/…/quic-v1`. `transport` is one of these two, or
  /// `std::invalid_argument` is thrown. An IPv4-mapped address is written as IPv4; a scope id is left out,
  /// for it means nothing to others.
  static Multiaddr from_endpoint(const io::Endpoint& endpoint, Transport transport);
  /// `/p2p/<peer>`
  static Multiaddr from_peer(const PeerId& peer);
  /// `/p2p-circuit`
  static Multiaddr circuit();

  const io::Bytes& bytes() const { return bytes_; }
  /// Canonical text: RFC 5952 for IPv6, base 58 for peer ids, `/p2p` for `/ipfs`.
  std::string to_string() const;

  class Iterator;
  Iterator begin() const;
  Iterator end() const;
  /// The value of the first component of that protocol.
  std::optional<Component> find(Protocol protocol) const;

  /// This address, then `inner`.
  Multiaddr encapsulate(const Multiaddr& inner) const;
  /// `/p2p/<peer>` appended, unless the address already ends so.
  Multiaddr with_peer(const PeerId& peer) const;
  /// Without a `/p2p` at its end; nothing when nothing else is left.
  std::optional<Multiaddr> without_peer() const;

  Transport transport() const;
  /// The IP address and port of an address that starts `/ip4|ip6/…/tcp|udp/…` and is not relayed.
  std::optional<io::Endpoint> endpoint() const;
  bool is_circuit() const;
  /// The peer the address leads to: its last component, when that is `/p2p`.
  std::optional<PeerId> peer_id() const;
  /// The relay's own address: what stands before the last `/p2p-circuit`. Nothing when there is none.
  std::optional<Multiaddr> relay() const;
  /// The first IP address in it is `io::is_public`; a relayed address is judged by its relay's. False without
  /// one: names are not resolved here.
  bool is_public() const;

  /// Order of the bytes.
  friend auto operator<=>(const Multiaddr&, const Multiaddr&) = default;
  friend bool operator==(const Multiaddr&, const Multiaddr&) = default;

 private:
  explicit Multiaddr(io::Bytes bytes) : bytes_(std::move(bytes)) {}

  io::Bytes bytes_;
};

/// Walks the components from outside to inside. Valid as long as the address is.
class Multiaddr::Iterator {
 public:
  using value_type = Component;
  using reference = Component;
  using difference_type = std::ptrdiff_t;
  using iterator_category = std::input_iterator_tag;

  Iterator() = default;

  Component operator*() const;
  Iterator& operator++();
  Iterator operator++(int);
  friend bool operator==(const Iterator& a, const Iterator& b) { return a.rest_.data() == b.rest_.data(); }

 private:
  friend class Multiaddr;
  explicit Iterator(io::BytesView rest) : rest_(rest) {}

  io::BytesView rest_;
};

inline Multiaddr::Iterator Multiaddr::begin() const { return Iterator(bytes_); }
inline Multiaddr::Iterator Multiaddr::end() const { return Iterator(io::BytesView(bytes_).last(0)); }

}  // namespace flaresim::multiformats

template <>
struct std::is_error_code_enum<flaresim::multiformats::MultiaddrError> : std::true_type {};

template <>
struct std::hash<flaresim::multiformats::Multiaddr> {
  std::size_t operator()(const flaresim::multiformats::Multiaddr& address) const noexcept;
};
