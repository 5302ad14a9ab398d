#include "tests/protocols/security/tls_forger.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace flaresim::support {
namespace {

void must(int outcome) {
  if (outcome < 0) throw std::runtime_error(gnutls_strerror(outcome));
}

io::Bytes take(gnutls_datum_t owned) {
  io::Bytes bytes(owned.data, owned.data + owned.size);
  gnutls_free(owned.data);
  return bytes;
}

io::Bytes tlv(std::uint8_t tag, const io::Bytes& content) {
  io::Bytes bytes{tag};
  if (content.size() >= 0x80) bytes.push_back(0x81);
  bytes.push_back(static_cast<std::uint8_t>(content.size()));
  io::append(bytes, content);
  return bytes;
}

io::Bytes public_key_info(gnutls_x509_privkey_t key) {
  gnutls_privkey_t abstract;
  gnutls_pubkey_t half;
  gnutls_datum_t der{};
  must(gnutls_privkey_init(&abstract));
  must(gnutls_privkey_import_x509(abstract, key, 0));
  must(gnutls_pubkey_init(&half));
  must(gnutls_pubkey_import_privkey(half, abstract, 0, 0));
  must(gnutls_pubkey_export2(half, GNUTLS_X509_FMT_DER, &der));
  gnutls_pubkey_deinit(half);
  gnutls_privkey_deinit(abstract);
  return take(der);
}

io::Bytes signed_key(const crypto::PrivateKey& host, gnutls_x509_privkey_t key, const std::string& prefix) {
  auto message = io::to_bytes(prefix);
  io::append(message, public_key_info(key));
  auto pair = tlv(0x04, host.public_key().to_message());
  io::append(pair, tlv(0x04, host.sign(message)));
  return tlv(0x30, pair);
}

void extend(gnutls_x509_crt_t certificate, const ForgedExtension& extension) {
  must(gnutls_x509_crt_set_extension_by_oid(certificate, extension.oid.c_str(), extension.value.data(),
                                            extension.value.size(), extension.critical ? 1 : 0));
}

std::time_t seconds(io::CalendarTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

/// GnuTLS between two buffers.
struct Buffers {
  io::Bytes in;
  io::Bytes out;
  bool ended = false;
  gnutls_session_t session = nullptr;

  static ssize_t push(gnutls_transport_ptr_t self, const void* data, std::size_t size) {
    io::append(static_cast<Buffers*>(self)->out, {static_cast<const std::uint8_t*>(data), size});
    return static_cast<ssize_t>(size);
  }
  static ssize_t pull(gnutls_transport_ptr_t self, void* into, std::size_t size) {
    auto& buffers = *static_cast<Buffers*>(self);
    const auto n = std::min(size, buffers.in.size());
    if (n == 0 && buffers.ended) return 0;
    if (n == 0) {
      gnutls_transport_set_errno(buffers.session, EAGAIN);
      return -1;
    }
    std::memcpy(into, buffers.in.data(), n);
    buffers.in.erase(buffers.in.begin(), buffers.in.begin() + static_cast<std::ptrdiff_t>(n));
    return static_cast<ssize_t>(n);
  }
  static int can_pull(gnutls_transport_ptr_t self, unsigned) {
    const auto& buffers = *static_cast<Buffers*>(self);
    return buffers.in.empty() && !buffers.ended ? 0 : 1;
  }
};

io::Task<bool> exchange(io::Stream& stream, Buffers& buffers) {
  if (!buffers.out.empty()) {
    const auto sent = co_await stream.write(std::exchange(buffers.out, {}));
    if (!sent) co_return false;
  }
  std::array<std::uint8_t, 4096> bytes;
  const auto got = co_await stream.read(bytes);
  if (!got) co_return false;
  buffers.ended = *got == 0;
  io::append(buffers.in, io::BytesView(bytes).first(*got));
  co_return true;
}

}  // namespace

ForgedCertificate forge(const crypto::PrivateKey& host, const Forgery& forgery) {
  gnutls_x509_privkey_t key;
  must(gnutls_x509_privkey_init(&key));
  must(gnutls_x509_privkey_generate(key, GNUTLS_PK_EC, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
  gnutls_x509_crt_t certificate;
  must(gnutls_x509_crt_init(&certificate));
  must(gnutls_x509_crt_set_version(certificate, 3));
  must(gnutls_x509_crt_set_serial(certificate, "\x01", 1));
  must(gnutls_x509_crt_set_dn(certificate, "CN=forged", nullptr));
  must(gnutls_x509_crt_set_issuer_dn(certificate, "CN=forged", nullptr));
  must(gnutls_x509_crt_set_activation_time(certificate, seconds(forgery.not_before)));
  must(gnutls_x509_crt_set_expiration_time(certificate, seconds(forgery.not_after)));
  must(gnutls_x509_crt_set_key(certificate, key));
  for (const auto& extension : forgery.more) extend(certificate, extension);
  if (forgery.libp2p_extension) {
    auto value = forgery.empty_extension ? io::Bytes{0x30, 0x00} : signed_key(host, key, forgery.prefix);
    extend(certificate, {"1.3.6.1.4.1.53594.1.1", std::move(value), forgery.libp2p_critical});
  }
  must(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0));

  gnutls_datum_t der{}, pkcs8{};
  must(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_DER, &der));
  must(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_DER, nullptr, GNUTLS_PKCS_PLAIN, &pkcs8));
  gnutls_x509_crt_deinit(certificate);
  gnutls_x509_privkey_deinit(key);
  return {take(der), take(pkcs8)};
}

gnutls_certificate_credentials_t credentials_of(const std::vector<ForgedCertificate>& chain) {
  gnutls_certificate_credentials_t credentials;
  must(gnutls_certificate_allocate_credentials(&credentials));
  if (chain.empty()) return credentials;
  std::vector<gnutls_pcert_st> certificates(chain.size());
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const gnutls_datum_t der{const_cast<unsigned char*>(chain[i].der.data()),
                             static_cast<unsigned>(chain[i].der.size())};
    must(gnutls_pcert_import_x509_raw(&certificates[i], &der, GNUTLS_X509_FMT_DER, 0));
  }
  gnutls_privkey_t key;
  must(gnutls_privkey_init(&key));
  const gnutls_datum_t pkcs8{const_cast<unsigned char*>(chain[0].private_key.data()),
                             static_cast<unsigned>(chain[0].private_key.size())};
  must(gnutls_privkey_import_x509_raw(key, &pkcs8, GNUTLS_X509_FMT_DER, nullptr, 0));
  must(gnutls_certificate_set_key(credentials, nullptr, 0, certificates.data(),
                                  static_cast<int>(certificates.size()), key));
  return credentials;
}

io::Task<RawOutcome> raw_client(io::Stream& stream, std::vector<ForgedCertificate> chain,
                                std::vector<std::string> protocols, std::string priorities) {
  Buffers buffers;
  auto* const credentials = credentials_of(chain);
  must(gnutls_init(&buffers.session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_FORCE_CLIENT_CERT));
  must(gnutls_priority_set_direct(buffers.session, priorities.c_str(), nullptr));
  must(gnutls_credentials_set(buffers.session, GNUTLS_CRD_CERTIFICATE, credentials));
  std::vector<gnutls_datum_t> names;
  for (auto& name : protocols)
    names.push_back({reinterpret_cast<unsigned char*>(name.data()), static_cast<unsigned>(name.size())});
  if (!names.empty())
    must(gnutls_alpn_set_protocols(buffers.session, names.data(), static_cast<unsigned>(names.size()), 0));
  gnutls_transport_set_ptr(buffers.session, &buffers);
  gnutls_transport_set_push_function(buffers.session, Buffers::push);
  gnutls_transport_set_pull_function(buffers.session, Buffers::pull);
  gnutls_transport_set_pull_timeout_function(buffers.session, Buffers::can_pull);

  RawOutcome outcome{GNUTLS_E_AGAIN, GNUTLS_E_AGAIN};
  bool connected = true;
  while (connected && outcome.handshake != 0 && gnutls_error_is_fatal(outcome.handshake) == 0) {
    outcome.handshake = gnutls_handshake(buffers.session);
    if (outcome.handshake == GNUTLS_E_AGAIN) connected = co_await exchange(stream, buffers);
  }
  std::array<std::uint8_t, 64> bytes;
  while (connected && outcome.handshake == 0 && outcome.read == GNUTLS_E_AGAIN) {
    outcome.read = static_cast<int>(gnutls_record_recv(buffers.session, bytes.data(), bytes.size()));
    if (outcome.read == GNUTLS_E_AGAIN) connected = co_await exchange(stream, buffers);
  }
  gnutls_deinit(buffers.session);
  gnutls_certificate_free_credentials(credentials);
  co_return outcome;
}

}  // namespace flaresim::support
