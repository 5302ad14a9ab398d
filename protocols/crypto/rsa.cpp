#include <gmpxx.h>
#include <nettle/rsa.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "protocols/crypto/algorithm.h"
#include "protocols/crypto/der.h"
#include "protocols/crypto/keys.h"
#include "protocols/crypto/number.h"
#include "protocols/crypto/pkix.h"
#include "protocols/multiformats/multihash.h"

namespace flaresim::crypto {
namespace {

using multiformats::sha256;

constexpr unsigned generated_bits = 2048;
constexpr unsigned generated_exponent = 65537;
constexpr std::size_t max_exponent_bits = 31;

// RFC 8017 §A.1: rsaEncryption, and parameters that are NULL.
constexpr std::array<std::uint8_t, 13> rsa_algorithm{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                                     0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};

struct PublicNumbers : rsa_public_key {
  PublicNumbers() { rsa_public_key_init(this); }
  ~PublicNumbers() { rsa_public_key_clear(this); }
  PublicNumbers(const PublicNumbers&) = delete;
  PublicNumbers& operator=(const PublicNumbers&) = delete;
};

struct PrivateNumbers : rsa_private_key {
  PrivateNumbers() { rsa_private_key_init(this); }
  ~PrivateNumbers() { rsa_private_key_clear(this); }
  PrivateNumbers(const PrivateNumbers&) = delete;
  PrivateNumbers& operator=(const PrivateNumbers&) = delete;
};

bool take_number(io::BytesView& from, mpz_t number) {
  const auto bytes = take_der_number(from);
  if (bytes) set_number(number, *bytes);
  return bytes.has_value();
}

io::Result<> check_size(PublicNumbers& key) {
  const auto bits = mpz_sizeinbase(key.n, 2);
  if (bits < min_rsa_bits) return io::fail(KeyError::rsa_too_short);
  if (bits > max_rsa_bits) return io::fail(KeyError::rsa_too_long);
  const bool exponent_fits =
      mpz_odd_p(key.e) && mpz_cmp_ui(key.e, 1) > 0 && mpz_sizeinbase(key.e, 2) <= max_exponent_bits;
  if (mpz_even_p(key.n) || !exponent_fits) return io::fail(KeyError::out_of_range);
  rsa_public_key_prepare(&key);
  return {};
}

io::Result<> read_public(io::BytesView data, PublicNumbers& key) {
  const auto pkix = read_pkix(data);
  if (!pkix || !std::ranges::equal(pkix->algorithm, rsa_algorithm)) return io::fail(KeyError::bad_encoding);
  auto numbers = only_der(pkix->key, DerTag::sequence);
  if (!numbers || !take_number(*numbers, key.n) || !take_number(*numbers, key.e) || !numbers->empty())
    return io::fail(KeyError::bad_encoding);
  return check_size(key);
}

io::Result<> check_public(io::BytesView data) {
  PublicNumbers key;
  return read_public(data, key);
}

bool verify(io::BytesView data, io::BytesView message, io::BytesView signature) {
  PublicNumbers key;
  if (!read_public(data, key) || signature.size() != key.size) return false;
  mpz_class number;
  set_number(number.get_mpz_t(), signature);
  return rsa_sha256_verify_digest(&key, sha256(message).data(), number.get_mpz_t()) == 1;
}

io::Result<> read_numbers(io::BytesView data, PublicNumbers& half, PrivateNumbers& key) {
  auto rest = only_der(data, DerTag::sequence);
  const auto version = rest ? take_der_number(*rest) : std::nullopt;
  if (!version || !version->empty()) return io::fail(KeyError::bad_encoding);  // 0: two primes
  for (const auto number : {half.n, half.e, key.d, key.p, key.q, key.a, key.b, key.c})
    if (!take_number(*rest, number)) return io::fail(KeyError::bad_encoding);
  if (!rest->empty()) return io::fail(KeyError::bad_encoding);
  return check_size(half);
}

/// Whether the numbers are those of one key (RFC 8017 §3.2), so that every signature comes out right.
bool belong_together(const PublicNumbers& half, const PrivateNumbers& key) {
  constexpr int baillie_psw = 24;  // repetitions by GMP's count; not one composite is known that passes
  const mpz_class n(half.n), e(half.e), d(key.d), p(key.p), q(key.q), a(key.a), b(key.b), c(key.c);
  if (p <= 1 || q <= 1 || p * q != n || p == q || d >= n || c >= p || c * q % p != 1) return false;
  const mpz_class p_1 = p - 1, q_1 = q - 1;
  if (d * e % p_1 != 1 || d * e % q_1 != 1 || d % p_1 != a || d % q_1 != b) return false;
  return mpz_probab_prime_p(key.p, baillie_psw) != 0 && mpz_probab_prime_p(key.q, baillie_psw) != 0;
}

io::Bytes write_public(const PublicNumbers& key) {
  io::Bytes numbers;
  append_der_number(numbers, number_bytes(key.n));
  append_der_number(numbers, number_bytes(key.e));
  io::Bytes sequence;
  append_der(sequence, DerTag::sequence, numbers);
  return write_pkix({rsa_algorithm, sequence});
}

io::Bytes write_private(const PublicNumbers& half, const PrivateNumbers& key) {
  io::Bytes numbers;
  append_der_number(numbers, {});  // version
  for (const auto number : {half.n, half.e, key.d, key.p, key.q, key.a, key.b, key.c})
    append_der_number(numbers, number_bytes(number));
  io::Bytes der;
  append_der(der, DerTag::sequence, numbers);
  return der;
}

KeyPair generate(io::Random& random) {
  io::Random own(random.seed_bytes());  // primes take nobody knows how much
  PublicNumbers half;
  PrivateNumbers key;
  mpz_set_ui(half.e, generated_exponent);
  constexpr unsigned exponent_is_given = 0;
  if (rsa_generate_keypair(&half, &key, &own, fill_from_stream, nullptr, nullptr, generated_bits,
                           exponent_is_given) != 1)
    throw std::logic_error("RSA key of a size or an exponent that Nettle does not make");
  return {write_private(half, key), write_public(half)};
}

io::Result<KeyPair> read_private(io::BytesView data) {
  PublicNumbers half;
  PrivateNumbers key;
  if (const auto read = read_numbers(data, half, key); !read) return tl::unexpected(read.error());
  if (!belong_together(half, key)) return io::fail(KeyError::inconsistent);
  return KeyPair{io::to_bytes(data), write_public(half)};
}

/// Blinds the computation against timing; the signature does not depend on it.
void blind(void*, std::size_t size, std::uint8_t* into) { randombytes_buf(into, size); }

io::Bytes sign(io::BytesView data, io::BytesView message) {
  PublicNumbers half;
  PrivateNumbers key;
  mpz_class signature;
  if (!read_numbers(data, half, key) || rsa_private_key_prepare(&key) != 1 ||
      rsa_sha256_sign_digest_tr(&half, &key, nullptr, blind, sha256(message).data(), signature.get_mpz_t()) !=
          1)
    throw std::logic_error("RSA key that was good does not sign");
  return number_bytes(signature.get_mpz_t(), half.size);
}

}  // namespace

const Algorithm rsa_keys{check_public, verify, generate, read_private, sign};

}  // namespace flaresim::crypto
