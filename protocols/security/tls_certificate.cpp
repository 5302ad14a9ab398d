#include "protocols/security/tls_certificate.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace flaresim::security {
namespace {

constexpr const char* libp2p_extension = "1.3.6.1.4.1.53594.1.1";
constexpr const char* serial_number_attribute = "2.5.4.5";
constexpr std::string_view signature_prefix = "libp2p-tls-handshake:";
constexpr auto validity = std::chrono::hours(100 * 365 * 24);
constexpr auto clock_tolerance = std::chrono::hours(1);

template <auto release>
struct Release {
  template <class T>
  void operator()(T* handle) const {
    release(handle);
  }
};
using CertificatePtr = std::unique_ptr<gnutls_x509_crt_int, Release<gnutls_x509_crt_deinit>>;
using X509KeyPtr = std::unique_ptr<gnutls_x509_privkey_int, Release<gnutls_x509_privkey_deinit>>;
using PrivateKeyPtr = std::unique_ptr<gnutls_privkey_st, Release<gnutls_privkey_deinit>>;
using PublicKeyPtr = std::unique_ptr<gnutls_pubkey_st, Release<gnutls_pubkey_deinit>>;

/// For calls that only fail when memory runs out or this file is wrong.
void must(int outcome) {
  if (outcome < 0) throw std::runtime_error(std::string("GnuTLS: ") + gnutls_strerror(outcome));
}

template <class Ptr, auto init>
Ptr make_handle() {
  typename Ptr::pointer handle = nullptr;
  must(init(&handle));
  return Ptr(handle);
}

gnutls_datum_t datum(io::BytesView bytes) {
  return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
}

io::Bytes take(gnutls_datum_t& owned) {
  io::Bytes bytes(owned.data, owned.data + owned.size);
  gnutls_free(owned.data);
  return bytes;
}

// --- DER, as far as certificates need it. X.690 §8.1, §10.1.

constexpr std::uint8_t der_sequence = 0x30;
constexpr std::uint8_t der_octet_string = 0x04;
constexpr std::uint8_t der_explicit_version = 0xa0;

void append_der(io::Bytes& to, std::uint8_t tag, io::BytesView content) {
  to.push_back(tag);
  if (content.size() >= 0x100) {
    to.insert(to.end(), {0x82, static_cast<std::uint8_t>(content.size() >> 8)});
  } else if (content.size() >= 0x80) {
    to.push_back(0x81);
  }
  to.push_back(static_cast<std::uint8_t>(content.size()));
  io::append(to, content);
}

struct DerElement {
  std::uint8_t tag;
  io::BytesView whole;  ///< with its tag and length
  io::BytesView content;
};

/// Takes one element off the front, in the shortest encoding only; nothing when there is none.
std::optional<DerElement> next_der(io::BytesView& rest) {
  if (rest.size() < 2) return std::nullopt;
  std::size_t length = rest[1];
  std::size_t header = 2;
  if (length >= 0x80) {
    const std::size_t digits = length & 0x7f;
    if (digits < 1 || digits > 2 || rest.size() < header + digits) return std::nullopt;
    length = 0;
    while (header < 2 + digits) length = length << 8 | rest[header++];
    if (length < 0x80 || (digits == 2 && length < 0x100)) return std::nullopt;
  }
  if (rest.size() - header < length) return std::nullopt;
  const DerElement element{rest[0], rest.first(header + length), rest.subspan(header, length)};
  rest = rest.subspan(header + length);
  return element;
}

/// What the two signatures of a certificate are about. RFC 5280 §4.1.
struct Signed {
  io::BytesView certificate;  ///< TBSCertificate
  io::BytesView public_key;   ///< SubjectPublicKeyInfo
};

std::optional<Signed> find_signed(io::BytesView der) {
  const auto certificate = next_der(der);
  if (!certificate || certificate->tag != der_sequence || !der.empty()) return std::nullopt;
  auto rest = certificate->content;
  const auto tbs = next_der(rest);
  if (!tbs || tbs->tag != der_sequence) return std::nullopt;
  auto fields = tbs->content;
  auto field = next_der(fields);
  if (field && field->tag == der_explicit_version) field = next_der(fields);
  for (int skipped = 0; field && skipped < 5; ++skipped) field = next_der(fields);  // serial number … subject
  if (!field || field->tag != der_sequence) return std::nullopt;
  return Signed{tbs->whole, field->whole};
}

struct SignedKey {
  io::Bytes public_key;
  io::Bytes signature;
};

io::Result<SignedKey> read_signed_key(io::BytesView der) {
  const auto sequence = next_der(der);
  if (!sequence || sequence->tag != der_sequence || !der.empty())
    return io::fail(TlsError::malformed_extension);
  auto rest = sequence->content;
  const auto key = next_der(rest);
  const auto signature = next_der(rest);
  if (!key || key->tag != der_octet_string || !signature || signature->tag != der_octet_string ||
      !rest.empty())
    return io::fail(TlsError::malformed_extension);
  return SignedKey{io::to_bytes(key->content), io::to_bytes(signature->content)};
}

io::Bytes signed_by_host(io::BytesView public_key_info) {
  auto bytes = io::to_bytes(signature_prefix);
  io::append(bytes, public_key_info);
  return bytes;
}

// --- Making.

using Coordinate = std::array<std::uint8_t, 32>;

struct P256Point {
  Coordinate x;
  Coordinate y;
};

/// The public half. GnuTLS takes a P-256 key only together with it, and does not compute it.
std::optional<P256Point> p256_public(const Coordinate& secret) {
  const auto* curve = nettle_get_secp_256r1();
  mpz_t number, x, y;
  mpz_inits(number, x, y, nullptr);
  mpz_import(number, secret.size(), 1, 1, 1, 0, secret.data());
  ecc_scalar scalar;
  ecc_scalar_init(&scalar, curve);
  std::optional<P256Point> result;
  if (ecc_scalar_set(&scalar, number) == 1) {  // else zero, or not below the order of the curve
    ecc_point point;
    ecc_point_init(&point, curve);
    ecc_point_mul_g(&point, &scalar);
    ecc_point_get(&point, x, y);
    result.emplace();
    nettle_mpz_get_str_256(result->x.size(), result->x.data(), x);
    nettle_mpz_get_str_256(result->y.size(), result->y.data(), y);
    ecc_point_clear(&point);
  }
  ecc_scalar_clear(&scalar);
  mpz_clears(number, x, y, nullptr);
  return result;
}

X509KeyPtr make_p256_key(io::Random& random) {
  Coordinate secret;
  std::optional<P256Point> point;
  while (!point) {
    random.fill(secret);
    point = p256_public(secret);
  }
  auto key = make_handle<X509KeyPtr, gnutls_x509_privkey_init>();
  const auto x = datum(point->x), y = datum(point->y), k = datum(secret);
  must(gnutls_x509_privkey_import_ecc_raw(key.get(), GNUTLS_ECC_CURVE_SECP256R1, &x, &y, &k));
  return key;
}

X509KeyPtr make_ed25519_key(io::Random& random) {
  const auto seed = random.seed_bytes();
  const auto half = crypto::PrivateKey::from_seed(seed).public_key();
  auto key = make_handle<X509KeyPtr, gnutls_x509_privkey_init>();
  const auto x = datum(half.data()), k = datum(seed);
  must(gnutls_x509_privkey_import_ecc_raw(key.get(), GNUTLS_ECC_CURVE_ED25519, &x, nullptr, &k));
  return key;
}

io::Bytes public_key_info(gnutls_privkey_t key) {
  const auto half = make_handle<PublicKeyPtr, gnutls_pubkey_init>();
  must(gnutls_pubkey_import_privkey(half.get(), key, 0, 0));
  gnutls_datum_t der{};
  must(gnutls_pubkey_export2(half.get(), GNUTLS_X509_FMT_DER, &der));
  return take(der);
}

io::Bytes extension_value(const crypto::PrivateKey& host, gnutls_privkey_t key) {
  io::Bytes pair;
  append_der(pair, der_octet_string, host.public_key().to_message());
  append_der(pair, der_octet_string, host.sign(signed_by_host(public_key_info(key))));
  io::Bytes value;
  append_der(value, der_sequence, pair);
  return value;
}

/// Eight bytes in every case, so that all certificates of a kind have one size. RFC 5280 §4.1.2.2: positive.
std::array<std::uint8_t, 8> serial_number(io::Random& random) {
  std::array<std::uint8_t, 8> number;
  random.fill(number);
  number[0] = (number[0] & 0x3f) | 0x40;
  return number;
}

std::time_t seconds(io::CalendarTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

CertificatePtr parse(io::BytesView der) {
  auto certificate = make_handle<CertificatePtr, gnutls_x509_crt_init>();
  const auto input = datum(der);
  if (gnutls_x509_crt_import(certificate.get(), &input, GNUTLS_X509_FMT_DER) != 0) return nullptr;
  return certificate;
}

// --- Reading.

/// GnuTLS's own check of a self-signed certificate against itself accepts it whatever its signature is: it is
/// found in the list of trusted ones. So the signature is verified as one over bytes.
bool signed_by_itself(gnutls_x509_crt_t certificate, io::BytesView tbs) {
  std::array<std::uint8_t, 1024> signature;  // RSA of 8192 bits
  auto size = signature.size();
  if (gnutls_x509_crt_get_signature(certificate, reinterpret_cast<char*>(signature.data()), &size) != 0)
    return false;
  const int algorithm = gnutls_x509_crt_get_signature_algorithm(certificate);
  if (algorithm <= 0) return false;
  const auto key = make_handle<PublicKeyPtr, gnutls_pubkey_init>();
  if (gnutls_pubkey_import_x509(key.get(), certificate, 0) != 0) return false;
  const auto data = datum(tbs), proof = datum({signature.data(), size});
  return gnutls_pubkey_verify_data2(key.get(), static_cast<gnutls_sign_algorithm_t>(algorithm), 0, &data,
                                    &proof) >= 0;
}

/// The content of the libp2p extension, which must be there once.
io::Result<io::Bytes> libp2p_extension_of(gnutls_x509_crt_t certificate) {
  std::optional<io::Bytes> value;
  for (unsigned i = 0;; ++i) {
    std::array<char, 128> oid{};
    auto size = oid.size();
    unsigned critical = 0;
    const int got = gnutls_x509_crt_get_extension_info(certificate, i, oid.data(), &size, &critical);
    if (got == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) break;
    if (got != 0 && got != GNUTLS_E_SHORT_MEMORY_BUFFER) return io::fail(TlsError::malformed_certificate);
    const bool ours = got == 0 && std::string_view(oid.data()) == libp2p_extension;
    if (!ours && critical != 0) return io::fail(TlsError::unknown_critical_extension);
    if (!ours) continue;
    if (value) return io::fail(TlsError::malformed_extension);
    gnutls_datum_t data{};
    if (gnutls_x509_crt_get_extension_data2(certificate, i, &data) != 0)
      return io::fail(TlsError::malformed_extension);
    value = take(data);
  }
  if (!value) return io::fail(TlsError::missing_extension);
  return std::move(*value);
}

io::Result<crypto::PublicKey> host_of(io::BytesView extension, io::BytesView public_key) {
  const auto signed_key = read_signed_key(extension);
  if (!signed_key) return tl::unexpected(signed_key.error());
  auto host = crypto::PublicKey::from_message(signed_key->public_key);
  if (!host && host.error() == crypto::KeyError::unsupported_key_type) return host;
  if (!host) return io::fail(TlsError::bad_host_key);
  const auto verified = host->verify(signed_by_host(public_key), signed_key->signature);
  if (!verified && verified.error() == crypto::KeyError::bad_signature)
    return io::fail(TlsError::bad_host_signature);
  if (!verified) return tl::unexpected(verified.error());
  return host;
}

io::Result<> check_validity(std::chrono::sys_seconds not_before, std::chrono::sys_seconds not_after,
                            io::CalendarTime now) {
  // In seconds: years beyond 2262, as in many certificates, do not fit into nanoseconds.
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (second < not_before) return io::fail(TlsError::not_yet_valid);
  if (second > not_after) return io::fail(TlsError::expired);
  return {};
}

std::chrono::sys_seconds from_time_t(std::time_t time) {
  return std::chrono::sys_seconds(std::chrono::seconds(time));
}

}  // namespace

Certificate make_certificate(const crypto::PrivateKey& host, io::Random& random, io::CalendarTime now,
                             CertificateKey kind) {
  const auto x509_key = kind == CertificateKey::ed25519 ? make_ed25519_key(random) : make_p256_key(random);
  const auto key = make_handle<PrivateKeyPtr, gnutls_privkey_init>();
  must(gnutls_privkey_import_x509(key.get(), x509_key.get(), 0));

  const auto certificate = make_handle<CertificatePtr, gnutls_x509_crt_init>();
  const auto serial = serial_number(random);
  const auto extension = extension_value(host, key.get());
  auto* const crt = certificate.get();
  must(gnutls_x509_crt_set_version(crt, 3));
  must(gnutls_x509_crt_set_serial(crt, serial.data(), serial.size()));
  must(gnutls_x509_crt_set_dn_by_oid(crt, serial_number_attribute, 0, "1", 1));
  must(gnutls_x509_crt_set_issuer_dn_by_oid(crt, serial_number_attribute, 0, "1", 1));
  must(gnutls_x509_crt_set_activation_time(crt, seconds(now - clock_tolerance)));
  must(gnutls_x509_crt_set_expiration_time(crt, seconds(now + validity)));
  must(gnutls_x509_crt_set_key(crt, x509_key.get()));
  must(gnutls_x509_crt_set_extension_by_oid(crt, libp2p_extension, extension.data(), extension.size(), 0));
  const auto digest = kind == CertificateKey::ed25519 ? GNUTLS_DIG_SHA512 : GNUTLS_DIG_SHA256;
  must(gnutls_x509_crt_privkey_sign(crt, crt, key.get(), digest, GNUTLS_PRIVKEY_FLAG_REPRODUCIBLE));

  gnutls_datum_t der{}, pkcs8{};
  must(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der));
  must(gnutls_x509_privkey_export2_pkcs8(x509_key.get(), GNUTLS_X509_FMT_DER, nullptr, GNUTLS_PKCS_PLAIN,
                                         &pkcs8));
  return {take(der), take(pkcs8)};
}

io::Result<CertificateVerifier::Verified> CertificateVerifier::read(io::BytesView der, io::CalendarTime now) {
  if (der.empty() || der.size() > max_certificate_bytes) return io::fail(TlsError::malformed_certificate);
  const auto parts = find_signed(der);
  const auto certificate = parse(der);
  if (!parts || !certificate) return io::fail(TlsError::malformed_certificate);

  const auto not_before = from_time_t(gnutls_x509_crt_get_activation_time(certificate.get()));
  const auto not_after = from_time_t(gnutls_x509_crt_get_expiration_time(certificate.get()));
  if (auto valid = check_validity(not_before, not_after, now); !valid) return tl::unexpected(valid.error());
  if (!signed_by_itself(certificate.get(), parts->certificate)) return io::fail(TlsError::bad_self_signature);
  const auto extension = libp2p_extension_of(certificate.get());
  if (!extension) return tl::unexpected(extension.error());
  auto host = host_of(*extension, parts->public_key);
  if (!host) return tl::unexpected(host.error());
  return Verified{not_before, not_after, std::move(*host)};
}

io::Result<crypto::PublicKey> CertificateVerifier::verify(io::BytesView der, io::CalendarTime now) {
  if (capacity_ > 0) {
    if (const auto known = found_.find(io::to_bytes(der)); known != found_.end()) {
      const auto& verified = known->second.verified;
      if (auto valid = check_validity(verified.not_before, verified.not_after, now); !valid)
        return tl::unexpected(valid.error());
      by_use_.splice(by_use_.begin(), by_use_, known->second.place);
      return verified.host;
    }
  }
  auto verified = read(der, now);
  if (!verified) return tl::unexpected(verified.error());
  if (capacity_ > 0) remember(der, *verified);
  return std::move(verified->host);
}

void CertificateVerifier::remember(io::BytesView der, const Verified& verified) {
  if (found_.size() == capacity_) {
    found_.erase(found_.find(*by_use_.back()));
    by_use_.pop_back();
  }
  const auto known = found_.emplace(io::to_bytes(der), Memory{verified, {}}).first;
  known->second.place = by_use_.insert(by_use_.begin(), &known->first);
}

}  // namespace flaresim::security
