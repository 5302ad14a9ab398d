#include "protocols/kademlia/validator.h"

#include <algorithm>

#include "protocols/crypto/keys.h"
#include "protocols/kademlia/error.h"

namespace flaresim::kademlia {

io::Result<> PublicKeyValidator::validate(io::BytesView key, io::BytesView value) const {
  static constexpr std::string_view prefix = "/pk/";
  if (!std::ranges::equal(key.first(std::min(key.size(), prefix.size())), io::as_bytes(prefix))) {
    return io::fail(Error::bad_public_key);
  }
  const auto public_key = crypto::PublicKey::from_message(value);
  if (!public_key || !std::ranges::equal(public_key->peer_id().bytes(), key.subspan(prefix.size()))) {
    return io::fail(Error::bad_public_key);
  }
  return {};
}

std::optional<std::string_view> namespace_of(io::BytesView key) {
  const std::string_view text(reinterpret_cast<const char*>(key.data()), key.size());
  if (!text.starts_with('/')) return std::nullopt;
  const auto end = text.find('/', 1);
  if (end == std::string_view::npos || end == 1) return std::nullopt;
  return text.substr(1, end - 1);
}

}  // namespace flaresim::kademlia
