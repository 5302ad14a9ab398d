#include "protocols/crypto/pkix.h"

#include "protocols/crypto/der.h"

namespace flaresim::crypto {

io::Bytes write_pkix(const Pkix& pkix) {
  io::Bytes bits{0};  // unused ones at the end
  io::append(bits, pkix.key);
  io::Bytes content;
  append_der(content, DerTag::sequence, pkix.algorithm);
  append_der(content, DerTag::bit_string, bits);
  io::Bytes der;
  append_der(der, DerTag::sequence, content);
  return der;
}

std::optional<Pkix> read_pkix(io::BytesView der) {
  auto rest = only_der(der, DerTag::sequence);
  if (!rest) return std::nullopt;
  const auto algorithm = take_der(*rest, DerTag::sequence);
  const auto bits = only_der(*rest, DerTag::bit_string);
  if (!algorithm || !bits || bits->empty() || (*bits)[0] != 0) return std::nullopt;
  return Pkix{*algorithm, bits->subspan(1)};
}

}  // namespace flaresim::crypto
