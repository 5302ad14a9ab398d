#include <gmpxx.h>
#include <nettle/dsa.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <nettle/ecdsa.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "protocols/crypto/algorithm.h"
#include "protocols/crypto/der.h"
#include "protocols/crypto/keys.h"
#include "protocols/crypto/number.h"
#include "protocols/crypto/pkix.h"
#include "protocols/crypto/rfc6979.h"
#include "protocols/multiformats/multihash.h"

namespace flaresim::crypto {
namespace {

using multiformats::sha256;

constexpr std::size_t number_size = 32;
constexpr std::size_t point_size = 1 + 2 * number_size;
constexpr std::uint8_t uncompressed = 0x04;  // SEC 1 §2.3.3

// RFC 5480 §2.1: id-ecPublicKey, then the curve, for which secp256r1 is another name of P-256.
constexpr std::array<std::uint8_t, 19> p256_algorithm{0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                                      0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                                      0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr std::size_t ec_public_key_size = 9;

// An ECPrivateKey (RFC 5915 §3): its front, the secret, the curve and the head of the public key, the point.
constexpr std::array<std::uint8_t, 7> private_front{0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20};
constexpr std::array<std::uint8_t, 17> private_middle{0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                                      0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00};
constexpr std::size_t private_size = private_front.size() + number_size + private_middle.size() + point_size;

template <class T, auto release>
struct Owned : T {
  template <class... Arguments>
  explicit Owned(void (*init)(T*, Arguments...), Arguments... arguments) {
    init(this, arguments...);
  }
  ~Owned() { release(this); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
};

struct Point : Owned<ecc_point, ecc_point_clear> {
  Point() : Owned(ecc_point_init, nettle_get_secp_256r1()) {}
};
struct Scalar : Owned<ecc_scalar, ecc_scalar_clear> {
  Scalar() : Owned(ecc_scalar_init, nettle_get_secp_256r1()) {}
};
struct Signature : Owned<dsa_signature, dsa_signature_clear> {
  Signature() : Owned(dsa_signature_init) {}
};

using Number = std::array<std::uint8_t, number_size>;

/// False when the coordinates are none of a point of the curve.
bool set_point(Point& point, io::BytesView encoded) {
  mpz_class x, y;
  set_number(x.get_mpz_t(), encoded.subspan(1, number_size));
  set_number(y.get_mpz_t(), encoded.subspan(1 + number_size, number_size));
  return ecc_point_set(&point, x.get_mpz_t(), y.get_mpz_t()) == 1;
}

io::Bytes encode_point(const Point& point) {
  mpz_class x, y;
  ecc_point_get(&point, x.get_mpz_t(), y.get_mpz_t());
  io::Bytes encoded{uncompressed};
  io::append(encoded, number_bytes(x.get_mpz_t(), number_size));
  io::append(encoded, number_bytes(y.get_mpz_t(), number_size));
  return encoded;
}

bool set_scalar(Scalar& scalar, io::BytesView encoded) {
  mpz_class number;
  set_number(number.get_mpz_t(), encoded);
  return ecc_scalar_set(&scalar, number.get_mpz_t()) == 1;
}

io::Result<> check_public(io::BytesView data) {
  const auto pkix = read_pkix(data);
  if (!pkix) return io::fail(KeyError::bad_encoding);
  if (!std::ranges::equal(pkix->algorithm, p256_algorithm)) {
    const bool other_curve = pkix->algorithm.size() > ec_public_key_size &&
                             std::equal(p256_algorithm.begin(), p256_algorithm.begin() + ec_public_key_size,
                                        pkix->algorithm.begin());
    return io::fail(other_curve ? KeyError::unsupported_key_type : KeyError::bad_encoding);
  }
  if (pkix->key.size() != point_size || pkix->key[0] != uncompressed) return io::fail(KeyError::bad_encoding);
  Point point;
  if (!set_point(point, pkix->key)) return io::fail(KeyError::not_on_curve);
  return {};
}

bool read_signature(io::BytesView der, Signature& signature) {
  auto rest = only_der(der, DerTag::sequence);
  if (!rest) return false;
  for (const auto number : {signature.r, signature.s}) {
    const auto bytes = take_der_number(*rest);
    if (!bytes) return false;
    set_number(number, *bytes);
  }
  return rest->empty();
}

bool verify(io::BytesView data, io::BytesView message, io::BytesView der) {
  Point point;
  Signature signature;
  return set_point(point, data.last(point_size)) && read_signature(der, signature) &&
         ecdsa_verify(&point, number_size, sha256(message).data(), &signature) == 1;
}

KeyPair pair_of(io::BytesView secret, const Scalar& scalar) {
  Point point;
  ecc_point_mul_g(&point, &scalar);
  const auto encoded = encode_point(point);
  KeyPair pair{io::to_bytes(private_front), write_pkix({p256_algorithm, encoded})};
  for (const auto part : {secret, io::BytesView(private_middle), io::BytesView(encoded)})
    io::append(pair.private_data, part);
  return pair;
}

io::BytesView secret_in(io::BytesView private_data) {
  return private_data.subspan(private_front.size(), number_size);
}

KeyPair generate(io::Random& random) {
  for (;;) {
    const auto secret = random.seed_bytes();
    Scalar scalar;
    if (set_scalar(scalar, secret)) return pair_of(secret, scalar);
  }
}

io::Result<KeyPair> read_private(io::BytesView data) {
  constexpr auto middle_at = private_front.size() + number_size;
  if (data.size() != private_size || !std::ranges::equal(data.first(private_front.size()), private_front) ||
      !std::ranges::equal(data.subspan(middle_at, private_middle.size()), private_middle) ||
      data[private_size - point_size] != uncompressed)
    return io::fail(KeyError::bad_encoding);
  Scalar scalar;
  if (!set_scalar(scalar, secret_in(data))) return io::fail(KeyError::out_of_range);
  auto pair = pair_of(secret_in(data), scalar);
  if (!std::ranges::equal(pair.private_data, data)) return io::fail(KeyError::inconsistent);
  return pair;
}

/// RFC 6979 §2.3.4, bits2octets.
Number reduced(const Number& digest) {
  static const mpz_class order("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16);
  mpz_class number;
  set_number(number.get_mpz_t(), digest);
  number %= order;
  Number out;
  std::ranges::copy(number_bytes(number.get_mpz_t(), out.size()), out.begin());
  return out;
}

/// Nettle takes each candidate as it is, and asks for another when it is out of range, as RFC 6979 wants it.
void next_nonce(void* nonces, std::size_t size, std::uint8_t* into) {
  assert(size == number_size);
  (void)size;
  std::ranges::copy(static_cast<Rfc6979*>(nonces)->next(), into);
}

io::Bytes sign(io::BytesView data, io::BytesView message) {
  const auto secret = secret_in(data);
  const auto digest = sha256(message);
  Scalar scalar;
  set_scalar(scalar, secret);
  Rfc6979 nonces(secret.first<number_size>(), reduced(digest));
  Signature signature;
  ecdsa_sign(&scalar, &nonces, next_nonce, number_size, digest.data(), &signature);
  io::Bytes numbers;
  append_der_number(numbers, number_bytes(signature.r));
  append_der_number(numbers, number_bytes(signature.s));
  io::Bytes der;
  append_der(der, DerTag::sequence, numbers);
  return der;
}

}  // namespace

const Algorithm ecdsa_keys{check_public, verify, generate, read_private, sign};

}  // namespace flaresim::crypto
