#include "protocols/transport/quic/tokens.h"

#include <sodium.h>

#include <algorithm>

namespace flaresim::quic {
namespace {

// The first byte tells what a hash or a token is for.
constexpr std::uint8_t reset_purpose = 1;
constexpr std::uint8_t retry_purpose = 2;
constexpr std::size_t time_bytes = 8;
constexpr std::size_t head_bytes = 1 + time_bytes;

template <std::size_t N>
std::array<std::uint8_t, N> keyed_hash(io::BytesView message, const io::Random::Seed& key) {
  std::array<std::uint8_t, N> out;
  crypto_generichash(out.data(), out.size(), message.data(), message.size(), key.data(), key.size());
  return out;
}

void append_address(io::Bytes& to, const io::Endpoint& endpoint) {
  if (endpoint.address.is_v4()) {
    io::append(to, endpoint.address.to_v4().to_bytes());
  } else {
    io::append(to, endpoint.address.to_v6().to_bytes());
  }
  to.push_back(static_cast<std::uint8_t>(endpoint.port >> 8));
  to.push_back(static_cast<std::uint8_t>(endpoint.port));
}

void append_id(io::Bytes& to, const ConnectionId& id) {
  to.push_back(static_cast<std::uint8_t>(id.bytes().size()));
  io::append(to, id.bytes());
}

}  // namespace

ResetToken Tokens::reset_token(const ConnectionId& id) const {
  io::Bytes message{reset_purpose};
  append_id(message, id);
  return keyed_hash<16>(message, secret_);
}

Tokens::Seal Tokens::seal(io::BytesView body, const io::Endpoint& address,
                          const ConnectionId& retry_source) const {
  auto message = io::to_bytes(body);
  append_id(message, retry_source);
  append_address(message, address);
  return keyed_hash<16>(message, secret_);
}

io::Bytes Tokens::retry_token(const io::Endpoint& address, const ConnectionId& retry_source,
                              const ConnectionId& original_destination, io::TimePoint now) const {
  io::Bytes token{retry_purpose};
  const auto time = static_cast<std::uint64_t>(now.time_since_epoch().count());
  for (int shift = 56; shift >= 0; shift -= 8) token.push_back(static_cast<std::uint8_t>(time >> shift));
  io::append(token, original_destination.bytes());
  io::append(token, seal(token, address, retry_source));
  return token;
}

bool Tokens::is_retry_token(io::BytesView token) { return !token.empty() && token[0] == retry_purpose; }

std::optional<ConnectionId> Tokens::open_retry_token(io::BytesView token, const io::Endpoint& address,
                                                     const ConnectionId& retry_source, io::TimePoint now,
                                                     io::Duration lifetime) const {
  constexpr auto frame_bytes = head_bytes + std::tuple_size_v<Seal>;
  if (!is_retry_token(token) || token.size() < frame_bytes ||
      token.size() > frame_bytes + ConnectionId::max_bytes)
    return std::nullopt;
  const auto body = token.first(token.size() - std::tuple_size_v<Seal>);
  const auto expected = seal(body, address, retry_source);
  if (sodium_memcmp(expected.data(), token.data() + body.size(), expected.size()) != 0) return std::nullopt;

  std::uint64_t time = 0;
  for (std::size_t i = 1; i < head_bytes; ++i) time = time << 8 | body[i];
  const io::TimePoint made{io::Duration(static_cast<std::int64_t>(time))};
  if (now - made > lifetime) return std::nullopt;
  return ConnectionId(body.subspan(head_bytes));
}

}  // namespace flaresim::quic
