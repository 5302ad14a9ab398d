#include "protocols/multiformats/multiaddr.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "protocols/io/error_table.h"
#include "protocols/multiformats/multibase.h"
#include "protocols/multiformats/multihash.h"
#include "protocols/multiformats/varint.h"

namespace flaresim::multiformats {
namespace {

using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;

enum class ValueKind { none, ip4, ip6, port, name, peer, certificate_hash };

struct ProtocolEntry {
  Protocol protocol;
  std::string_view name;
  ValueKind kind;
};

constexpr ProtocolEntry protocols[] = {
    {Protocol::ip4, "ip4", ValueKind::ip4},
    {Protocol::tcp, "tcp", ValueKind::port},
    {Protocol::ip6, "ip6", ValueKind::ip6},
    {Protocol::ip6zone, "ip6zone", ValueKind::name},
    {Protocol::dns, "dns", ValueKind::name},
    {Protocol::dns4, "dns4", ValueKind::name},
    {Protocol::dns6, "dns6", ValueKind::name},
    {Protocol::dnsaddr, "dnsaddr", ValueKind::name},
    {Protocol::udp, "udp", ValueKind::port},
    {Protocol::webrtc_direct, "webrtc-direct", ValueKind::none},
    {Protocol::p2p_circuit, "p2p-circuit", ValueKind::none},
    {Protocol::p2p, "p2p", ValueKind::peer},
    {Protocol::tls, "tls", ValueKind::none},
    {Protocol::sni, "sni", ValueKind::name},
    {Protocol::noise, "noise", ValueKind::none},
    {Protocol::quic, "quic", ValueKind::none},
    {Protocol::quic_v1, "quic-v1", ValueKind::none},
    {Protocol::webtransport, "webtransport", ValueKind::none},
    {Protocol::certhash, "certhash", ValueKind::certificate_hash},
    {Protocol::ws, "ws", ValueKind::none},
    {Protocol::wss, "wss", ValueKind::none},
    {Protocol::http, "http", ValueKind::none},
};

constexpr std::size_t max_name_bytes = 253;  // of a domain name in text form, RFC 1035 §2.3.4

const ProtocolEntry* find_protocol(std::uint64_t code) {
  const auto* entry = std::ranges::find(
      protocols, code, [](const ProtocolEntry& e) { return static_cast<std::uint64_t>(e.protocol); });
  return entry == std::end(protocols) ? nullptr : entry;
}

const ProtocolEntry* find_protocol(std::string_view name) {
  if (name == "ipfs") name = "p2p";
  const auto* entry = std::ranges::find(protocols, name, &ProtocolEntry::name);
  return entry == std::end(protocols) ? nullptr : entry;
}

const ProtocolEntry& entry_of(Protocol protocol) {
  const auto* entry = find_protocol(static_cast<std::uint64_t>(protocol));
  if (!entry) throw std::invalid_argument("no multiaddr protocol of this library");
  return *entry;
}

/// Bytes of a value of that kind; nothing when its length stands in front of it.
std::optional<std::size_t> fixed_length(ValueKind kind) {
  switch (kind) {
    case ValueKind::none:
      return 0;
    case ValueKind::port:
      return 2;
    case ValueKind::ip4:
      return 4;
    case ValueKind::ip6:
      return 16;
    default:
      return std::nullopt;
  }
}

void append_component(io::Bytes& to, const ProtocolEntry& entry, io::BytesView value) {
  append_varint(to, static_cast<std::uint64_t>(entry.protocol));
  if (!fixed_length(entry.kind)) append_varint(to, value.size());
  io::append(to, value);
}

/// Takes the first component off the front of `rest`. Looks at its shape only.
io::Result<Component> take_component(io::BytesView& rest) {
  const auto code = take_varint(rest);
  if (!code) return io::fail(MultiaddrError::bad_varint);
  const auto* entry = find_protocol(*code);
  if (!entry) return io::fail(MultiaddrError::unknown_protocol);
  std::uint64_t length = 0;
  if (const auto fixed = fixed_length(entry->kind)) {
    length = *fixed;
  } else {
    const auto announced = take_varint(rest);
    if (!announced) return io::fail(MultiaddrError::bad_varint);
    length = *announced;
  }
  if (length > rest.size()) return io::fail(MultiaddrError::truncated);
  const Component component{entry->protocol, rest.first(length)};
  rest = rest.subspan(length);
  return component;
}

// Keeps control characters out of logs, and the text form unambiguous.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= max_name_bytes &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != '/'; });
}

bool is_valid(ValueKind kind, io::BytesView value) {
  switch (kind) {
    case ValueKind::name:
      return is_name(io::as_text(value));
    case ValueKind::peer:
      return PeerId::from_bytes(value).has_value();
    case ValueKind::certificate_hash:
      return decode_multihash(value).has_value();
    default:
      return true;  // the length says it all
  }
}

template <class Array>
io::Bytes bytes_of(const Array& array) {
  return {array.begin(), array.end()};
}

io::Bytes port_bytes(std::uint16_t port) {
  return {static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)};
}

std::uint16_t port_of(io::BytesView value) { return static_cast<std::uint16_t>(value[0] << 8 | value[1]); }

io::IpAddress ip_of(const Component& component) {
  if (component.protocol == Protocol::ip4) {
    address_v4::bytes_type bytes;
    std::ranges::copy(component.value, bytes.begin());
    return address_v4(bytes);
  }
  address_v6::bytes_type bytes;
  std::ranges::copy(component.value, bytes.begin());
  return address_v6(bytes);
}

std::optional<io::Bytes> parse_ip4(std::string_view text) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address_v4(std::string(text), error);
  if (error) return std::nullopt;
  return bytes_of(address.to_bytes());
}

std::optional<io::Bytes> parse_ip6(std::string_view text) {
  if (text.find('%') != std::string_view::npos) return std::nullopt;  // the zone has a component of its own
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address_v6(std::string(text), error);
  if (error) return std::nullopt;
  return bytes_of(address.to_bytes());
}

std::optional<io::Bytes> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port_bytes(port);
}

std::optional<io::Bytes> parse_value(ValueKind kind, std::string_view text) {
  if (!is_name(text)) return std::nullopt;
  switch (kind) {
    case ValueKind::ip4:
      return parse_ip4(text);
    case ValueKind::ip6:
      return parse_ip6(text);
    case ValueKind::port:
      return parse_port(text);
    case ValueKind::name:
      return io::to_bytes(text);
    case ValueKind::certificate_hash: {
      auto hash = decode_multibase(text);
      if (!hash || !is_valid(kind, *hash)) return std::nullopt;
      return hash;
    }
    case ValueKind::peer: {
      const auto peer = PeerId::from_string(text);
      if (!peer) return std::nullopt;
      return io::to_bytes(peer->bytes());
    }
    case ValueKind::none:
      break;
  }
  return std::nullopt;
}

/// Cuts off what stands before the next slash, and the slash.
std::string_view take_segment(std::string_view& text) {
  const auto slash = std::min(text.find('/'), text.size());
  const auto segment = text.substr(0, slash);
  text.remove_prefix(std::min(slash + 1, text.size()));
  return segment;
}

bool is_host(Protocol protocol) {
  switch (protocol) {
    case Protocol::ip4:
    case Protocol::ip6:
    case Protocol::dns:
    case Protocol::dns4:
    case Protocol::dns6:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::error_code make_error_code(MultiaddrError error) {
  static constexpr std::string_view messages[] = {
      "multiaddr is empty",
      "multiaddr does not start with a slash",
      "multiaddr names an unknown protocol",
      "multiaddr lacks a value",
      "multiaddr has a bad value",
      "multiaddr has a malformed varint",
      "multiaddr is truncated",
      "multiaddr is too long",
      "multiaddr has too many components",
  };
  static const io::ErrorTable category("multiaddr", messages);
  return {static_cast<int>(error), category};
}

std::string_view to_string(Protocol protocol) { return entry_of(protocol).name; }

std::string Component::value_text() const {
  switch (entry_of(protocol).kind) {
    case ValueKind::ip4:
    case ValueKind::ip6:
      return ip_of(*this).to_string();
    case ValueKind::port:
      return std::to_string(port_of(value));
    case ValueKind::name:
      return io::as_text(value);
    case ValueKind::peer:
      return encode_base58(value);
    case ValueKind::certificate_hash:
      return 'u' + encode_base64url(value);
    case ValueKind::none:
      break;
  }
  return {};
}

Component Multiaddr::Iterator::operator*() const {
  auto rest = rest_;
  return take_component(rest).value();
}

Multiaddr::Iterator& Multiaddr::Iterator::operator++() {
  take_component(rest_).value();
  return *this;
}

Multiaddr::Iterator Multiaddr::Iterator::operator++(int) {
  auto before = *this;
  ++*this;
  return before;
}

io::Result<Multiaddr> Multiaddr::from_string(std::string_view text) {
  if (text.size() > max_text_characters) return io::fail(MultiaddrError::too_long);
  if (!text.empty() && !text.starts_with('/')) return io::fail(MultiaddrError::no_leading_slash);
  while (text.ends_with('/')) text.remove_suffix(1);
  if (text.empty()) return io::fail(MultiaddrError::empty);

  io::Bytes bytes;
  text.remove_prefix(1);
  for (std::size_t count = 0; !text.empty(); ++count) {
    if (count == max_components) return io::fail(MultiaddrError::too_many_components);
    const auto* entry = find_protocol(take_segment(text));
    if (!entry) return io::fail(MultiaddrError::unknown_protocol);
    io::Bytes value;
    if (entry->kind != ValueKind::none) {
      const auto segment = take_segment(text);
      if (segment.empty()) return io::fail(MultiaddrError::missing_value);
      auto parsed = parse_value(entry->kind, segment);
      if (!parsed) return io::fail(MultiaddrError::bad_value);
      value = std::move(*parsed);
    }
    append_component(bytes, *entry, value);
    if (bytes.size() > max_bytes) return io::fail(MultiaddrError::too_long);
  }
  return Multiaddr(std::move(bytes));
}

io::Result<Multiaddr> Multiaddr::from_bytes(io::BytesView bytes) {
  if (bytes.empty()) return io::fail(MultiaddrError::empty);
  if (bytes.size() > max_bytes) return io::fail(MultiaddrError::too_long);
  auto rest = bytes;
  for (std::size_t count = 0; !rest.empty(); ++count) {
    if (count == max_components) return io::fail(MultiaddrError::too_many_components);
    const auto component = take_component(rest);
    if (!component) return tl::unexpected(component.error());
    if (!is_valid(entry_of(component->protocol).kind, component->value))
      return io::fail(MultiaddrError::bad_value);
  }
  return Multiaddr(io::to_bytes(bytes));
}

Multiaddr Multiaddr::from_endpoint(const io::Endpoint& endpoint, Transport transport) {
  if (transport != Transport::tcp && transport != Transport::quic_v1)
    throw std::invalid_argument("an endpoint is reached over TCP or QUIC");
  io::Bytes bytes;
  bytes.reserve(24);
  const auto& ip = endpoint.address;
  if (ip.is_v4()) {
    append_component(bytes, entry_of(Protocol::ip4), ip.to_v4().to_bytes());
  } else if (ip.to_v6().is_v4_mapped()) {
    const auto v4 = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, ip.to_v6());
    append_component(bytes, entry_of(Protocol::ip4), v4.to_bytes());
  } else {
    append_component(bytes, entry_of(Protocol::ip6), ip.to_v6().to_bytes());
  }
  const bool quic = transport == Transport::quic_v1;
  append_component(bytes, entry_of(quic ? Protocol::udp : Protocol::tcp), port_bytes(endpoint.port));
  if (quic) append_component(bytes, entry_of(Protocol::quic_v1), {});
  return Multiaddr(std::move(bytes));
}

Multiaddr Multiaddr::from_peer(const PeerId& peer) {
  io::Bytes bytes;
  bytes.reserve(3 + peer.bytes().size());
  append_component(bytes, entry_of(Protocol::p2p), peer.bytes());
  return Multiaddr(std::move(bytes));
}

Multiaddr Multiaddr::circuit() {
  io::Bytes bytes;
  append_component(bytes, entry_of(Protocol::p2p_circuit), {});
  return Multiaddr(std::move(bytes));
}

std::string Multiaddr::to_string() const {
  std::string text;
  for (const auto component : *this) {
    const auto& entry = entry_of(component.protocol);
    text.append("/").append(entry.name);
    if (entry.kind != ValueKind::none) text.append("/").append(component.value_text());
  }
  return text;
}

std::optional<Component> Multiaddr::find(Protocol protocol) const {
  for (const auto component : *this)
    if (component.protocol == protocol) return component;
  return std::nullopt;
}

Multiaddr Multiaddr::encapsulate(const Multiaddr& inner) const {
  io::Bytes bytes;
  bytes.reserve(bytes_.size() + inner.bytes_.size());
  io::append(bytes, bytes_);
  io::append(bytes, inner.bytes_);
  return Multiaddr(std::move(bytes));
}

Multiaddr Multiaddr::with_peer(const PeerId& peer) const {
  return peer_id() == peer ? *this : encapsulate(from_peer(peer));
}

std::optional<Multiaddr> Multiaddr::without_peer() const {
  auto last = begin();
  for (auto next = last; next != end(); ++next) last = next;
  if ((*last).protocol != Protocol::p2p) return *this;
  if (last == begin()) return std::nullopt;
  return Multiaddr(io::Bytes(bytes_.begin(), bytes_.end() - static_cast<std::ptrdiff_t>(last.rest_.size())));
}

Transport Multiaddr::transport() const {
  if (is_circuit()) return Transport::circuit;
  auto at = begin();
  const auto next_is = [&](Protocol protocol) {
    if (at == end() || (*at).protocol != protocol) return false;
    ++at;
    return true;
  };
  next_is(Protocol::ip6zone);
  if (at == end() || !is_host((*at).protocol)) return Transport::other;
  ++at;
  auto transport = Transport::other;
  if (next_is(Protocol::tcp)) {
    transport = Transport::tcp;
  } else if (next_is(Protocol::udp) && next_is(Protocol::quic_v1)) {
    transport = Transport::quic_v1;
  }
  next_is(Protocol::p2p);
  return at == end() ? transport : Transport::other;
}

std::optional<io::Endpoint> Multiaddr::endpoint() const {
  if (is_circuit()) return std::nullopt;
  auto at = begin();
  const auto host = *at;
  if (host.protocol != Protocol::ip4 && host.protocol != Protocol::ip6) return std::nullopt;
  if (++at == end()) return std::nullopt;
  const auto port = *at;
  if (port.protocol != Protocol::tcp && port.protocol != Protocol::udp) return std::nullopt;
  return io::Endpoint{ip_of(host), port_of(port.value)};
}

bool Multiaddr::is_circuit() const { return find(Protocol::p2p_circuit).has_value(); }

std::optional<PeerId> Multiaddr::peer_id() const {
  auto last = *begin();
  for (const auto component : *this) last = component;
  if (last.protocol != Protocol::p2p) return std::nullopt;
  return PeerId::from_bytes(last.value).value();
}

std::optional<Multiaddr> Multiaddr::relay() const {
  std::size_t length = 0;
  for (auto at = begin(); at != end(); ++at)
    if ((*at).protocol == Protocol::p2p_circuit) length = bytes_.size() - at.rest_.size();
  if (length == 0) return std::nullopt;
  return Multiaddr(io::Bytes(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(length)));
}

bool Multiaddr::is_public() const {
  for (const auto component : *this)
    if (component.protocol == Protocol::ip4 || component.protocol == Protocol::ip6)
      return io::is_public(ip_of(component));
  return false;
}

}  // namespace flaresim::multiformats

std::size_t std::hash<flaresim::multiformats::Multiaddr>::operator()(
    const flaresim::multiformats::Multiaddr& address) const noexcept {
  const auto& bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
