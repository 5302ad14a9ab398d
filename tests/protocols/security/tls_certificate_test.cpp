#include "protocols/security/tls_certificate.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/protocols/security/tls_forger.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::security {
namespace {

using namespace std::chrono_literals;

constexpr io::CalendarTime now = std::chrono::sys_days(std::chrono::year(2030) / std::chrono::June / 1);
constexpr auto a_year = 365 * 24h;

// libp2p/specs tls/tls.md, "Test vectors".
constexpr std::string_view ed25519_vector =
    "308201ae30820156a0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c696270"
    "32702e696f310a300806035504051301313020170d3735303130313133303030305a180f343039363031303131333030"
    "30305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059301306072a8648ce3d"
    "020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f0380b2a6756fd60133"
    "1c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea37c307a3078060a2b0601040183a25a"
    "0101046a3068042408011220a77f1d92fedb59dddaea5a1c4abd1ac2fbde7d7b879ed364501809923d7c11b90440d90d"
    "2769db992d5e6195dbb08e706b6651e024fda6cfb8846694a435519941cac215a8207792e42849cccc6cd8136c6e4bde"
    "92a58c5e08cfd4206eb5fe0bf909300a06082a8648ce3d0403020346003043021f50f6b6c52711a881778718238f650c"
    "9fb48943ae6ee6d28427dc6071ae55e702203625f116a7a454db9c56986c82a25682f7248ea1cb764d322ea983ed36a3"
    "1b77";
constexpr std::string_view ecdsa_vector =
    "308201f63082019da0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c696270"
    "32702e696f310a300806035504051301313020170d3735303130313133303030305a180f343039363031303131333030"
    "30305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059301306072a8648ce3d"
    "020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f0380b2a6756fd60133"
    "1c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea381c23081bf3081bc060a2b06010401"
    "83a25a01010481ad3081aa045f0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004bf30511f"
    "909414ebdd3242178fd290f093a551cf75c973155de0bb5a96fedf6cb5d52da7563e794b512f66e60c7f55ba8a3acf3d"
    "d72a801980d205e8a1ad29f2044730450220064ea8124774caf8f50e57f436aa62350ce652418c019df5d98a3ac666c9"
    "386a022100aa59d704a931b5f72fb9222cb6cc51f954d04a4e2e5450f8805fe8918f71eaae300a06082a8648ce3d0403"
    "0203470030440220799395b0b6c1e940a7e4484705f610ab51ed376f19ff9d7c16757cfbf61b8d4302206205c03fbb0f"
    "95205c779be86581d3e31c01871ad5d1f3435bcf375cb0e5088a";
constexpr std::string_view secp256k1_vector =
    "308201ba3082015fa0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c696270"
    "32702e696f310a300806035504051301313020170d3735303130313133303030305a180f343039363031303131333030"
    "30305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059301306072a8648ce3d"
    "020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f0380b2a6756fd60133"
    "1c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea38184308181307f060a2b0601040183"
    "a25a01010471306f0425080212210206dc6968726765b820f050263ececf7f71e4955892776c0970542efd689d238204"
    "4630440220145e15a991961f0d08cd15425bb95ec93f6ffa03c5a385eedc34ecf464c7a8ab022026b3109b8a3f40ef83"
    "3169777eb2aa337cfb6282f188de0666d1bcec2a4690dd300a06082a8648ce3d0403020349003046022100e1a217eeef"
    "9ec9204b3f774a08b70849646b6a1e6b8b27f93dc00ed58545d9fe022100b00dafa549d0f03547878338c7b15e750288"
    "8f6d45db387e5ae6b5d46899cef0";
constexpr std::string_view invalid_vector =
    "308201f73082019da0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c696270"
    "32702e696f310a300806035504051301313020170d3735303130313133303030305a180f343039363031303131333030"
    "30305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059301306072a8648ce3d"
    "020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f0380b2a6756fd60133"
    "1c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea381c23081bf3081bc060a2b06010401"
    "83a25a01010481ad3081aa045f0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004bf30511f"
    "909414ebdd3242178fd290f093a551cf75c973155de0bb5a96fedf6cb5d52da7563e794b512f66e60c7f55ba8a3acf3d"
    "d72a801980d205e8a1ad29f204473045022100bb6e03577b7cc7a3cd1558df0da2b117dfdcc0399bc2504ebe7de6f65c"
    "ade72802206de96e2a5be9b6202adba24ee0362e490641ac45c240db71fe955f2c5cf8df6e300a06082a8648ce3d0403"
    "020348003045022100e847f267f43717358f850355bdcabbefb2cfbf8a3c043b203a14788a092fe8db022027c1d04a2d"
    "41fd6b57a7e8b3989e470325de4406e52e084e34a3fd56eef0d0df";

io::Bytes from_hex(std::string_view text) {
  io::Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  return bytes;
}

crypto::PrivateKey host_key(std::uint64_t number) {
  io::Random random(number);
  return crypto::PrivateKey::generate(random);
}

support::Forgery right() { return {.not_before = now - a_year, .not_after = now + a_year}; }

io::Result<crypto::PublicKey> verify(io::BytesView der, io::CalendarTime at = now) {
  return CertificateVerifier().verify(der, at);
}

std::error_code refusal(const support::Forgery& forgery) {
  const auto verified = verify(support::forge(host_key(1), forgery).der);
  return verified ? std::error_code() : verified.error();
}

/// True when the host's key is of a type that this build can verify with.
bool supported(const io::Result<crypto::PublicKey>& verified) {
  return verified || verified.error() != crypto::KeyError::unsupported_key_type;
}

TEST(TlsCertificate, VectorWithAnEd25519HostIsAccepted) {
  const auto host = verify(from_hex(ed25519_vector));
  ASSERT_TRUE(host) << host.error().message();
  EXPECT_EQ(host->peer_id().to_string(), "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv");
}

TEST(TlsCertificate, VectorWithAnEcdsaHostIsAccepted) {
  const auto host = verify(from_hex(ecdsa_vector));
  if (!supported(host)) GTEST_SKIP() << "no ECDSA host keys in this build";
  ASSERT_TRUE(host) << host.error().message();
  EXPECT_EQ(host->peer_id().to_string(), "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE");
}

TEST(TlsCertificate, VectorWithASecp256k1HostIsAccepted) {
  const auto host = verify(from_hex(secp256k1_vector));
  if (!supported(host)) GTEST_SKIP() << "no secp256k1 host keys in this build";
  ASSERT_TRUE(host) << host.error().message();
  EXPECT_EQ(host->peer_id().to_string(), "16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs");
}

TEST(TlsCertificate, VectorSignedByAnotherHostIsRefused) {
  const auto host = verify(from_hex(invalid_vector));
  ASSERT_FALSE(host);
  if (!supported(host)) GTEST_SKIP() << "no ECDSA host keys in this build";
  EXPECT_EQ(error_of(host), TlsError::bad_host_signature);
}

TEST(TlsCertificate, OwnCertificatesNameTheirHost) {
  for (const auto kind : {CertificateKey::ed25519, CertificateKey::p256}) {
    io::Random random(7);
    const auto made = make_certificate(host_key(1), random, now, kind);
    const auto host = verify(made.der);
    ASSERT_TRUE(host) << host.error().message();
    EXPECT_EQ(*host, host_key(1).public_key());
  }
}

TEST(TlsCertificate, TheExtensionIsTheFirstAndOnlyOne) {
  io::Random random(7);
  const auto der = make_certificate(host_key(1), random, now).der;
  // [3] { SEQUENCE { SEQUENCE { OID 1.3.6.1.4.1.53594.1.1 …, and the outer two end together: nothing follows.
  const io::Bytes oid{0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xa2, 0x5a, 0x01, 0x01};
  const auto at = std::search(der.begin(), der.end(), oid.begin(), oid.end());
  ASSERT_NE(at, der.end());
  const auto header = static_cast<std::size_t>(at - der.begin());
  ASSERT_GE(header, 6u);
  EXPECT_EQ(der[header - 6], 0xa3);
  EXPECT_EQ(der[header - 4], 0x30);
  EXPECT_EQ(der[header - 2], 0x30);
  EXPECT_EQ(der[header - 5], der[header - 3] + 2);
  EXPECT_EQ(der[header - 3], der[header - 1] + 2);
}

TEST(TlsCertificate, OneSeedMakesOneCertificate) {
  for (const auto kind : {CertificateKey::ed25519, CertificateKey::p256}) {
    io::Random once(7), again(7), other(8);
    const auto first = make_certificate(host_key(1), once, now, kind);
    EXPECT_EQ(first.der, make_certificate(host_key(1), again, now, kind).der);
    EXPECT_NE(first.der, make_certificate(host_key(1), other, now, kind).der);
  }
}

TEST(TlsCertificate, Ed25519CertificatesHaveOneSize) {
  io::Random random(7);
  const auto size = make_certificate(host_key(1), random, now).der.size();
  for (std::uint64_t host = 2; host < 50; ++host)
    EXPECT_EQ(make_certificate(host_key(host), random, now).der.size(), size);
}

TEST(TlsCertificate, ARightOneMadeElsewhereIsAccepted) {
  EXPECT_EQ(refusal(right()), std::error_code());
  auto critical = right();
  critical.libp2p_critical = true;
  EXPECT_EQ(refusal(critical), std::error_code());
}

TEST(TlsCertificate, AnUnknownExtensionIsIgnored) {
  auto forgery = right();
  forgery.more.push_back({"1.3.6.1.4.1.53594.9.9", {0x05, 0x00}});
  EXPECT_EQ(refusal(forgery), std::error_code());
}

TEST(TlsCertificate, AnUnknownCriticalExtensionIsRefused) {
  auto forgery = right();
  forgery.more.push_back({"1.3.6.1.4.1.53594.9.9", {0x05, 0x00}, true});
  EXPECT_EQ(refusal(forgery), TlsError::unknown_critical_extension);
}

TEST(TlsCertificate, AnyFlippedBitOfTheSelfSignatureIsRefused) {
  for (const auto kind : {CertificateKey::ed25519, CertificateKey::p256}) {
    io::Random random(7);
    auto der = make_certificate(host_key(1), random, now, kind).der;
    for (std::size_t from_end = 1; from_end <= 24; from_end += 5) {
      auto tampered = der;
      tampered[tampered.size() - from_end] ^= 1;
      const auto host = verify(tampered);
      EXPECT_EQ(error_of(host), TlsError::bad_self_signature);
    }
  }
}

TEST(TlsCertificate, AFlippedBitInWhatIsSignedIsRefused) {
  auto der = support::forge(host_key(1), right()).der;
  const std::string name = "forged";
  const auto at = std::search(der.begin(), der.end(), name.begin(), name.end());
  ASSERT_NE(at, der.end());
  *at = 'g';
  const auto host = verify(der);
  EXPECT_EQ(error_of(host), TlsError::bad_self_signature);
}

TEST(TlsCertificate, OutsideOfItsTimeItIsRefused) {
  auto expired = right();
  expired.not_after = now - 1s;
  EXPECT_EQ(refusal(expired), TlsError::expired);
  auto early = right();
  early.not_before = now + 1s;
  EXPECT_EQ(refusal(early), TlsError::not_yet_valid);
}

TEST(TlsCertificate, AHostSignatureOverAnotherPrefixIsRefused) {
  auto forgery = right();
  forgery.prefix = "libp2p-tls-handshake";
  EXPECT_EQ(refusal(forgery), TlsError::bad_host_signature);
}

TEST(TlsCertificate, WithoutTheExtensionItIsRefused) {
  auto forgery = right();
  forgery.libp2p_extension = false;
  EXPECT_EQ(refusal(forgery), TlsError::missing_extension);
}

TEST(TlsCertificate, AnEmptySignedKeyIsRefused) {
  auto forgery = right();
  forgery.empty_extension = true;
  EXPECT_EQ(refusal(forgery), TlsError::malformed_extension);
}

TEST(TlsCertificate, AHostKeyThatIsNoneIsRefused) {
  auto forgery = right();
  forgery.libp2p_extension = false;
  forgery.more.push_back({"1.3.6.1.4.1.53594.1.1", {0x30, 0x06, 0x04, 0x01, 0xff, 0x04, 0x01, 0x00}});
  EXPECT_EQ(refusal(forgery), TlsError::bad_host_key);
}

TEST(TlsCertificate, EveryTruncationIsRefused) {
  io::Random random(7);
  const auto der = make_certificate(host_key(1), random, now).der;
  for (std::size_t size = 0; size < der.size(); ++size) {
    const auto host = verify(io::BytesView(der).first(size));
    EXPECT_EQ(error_of(host), TlsError::malformed_certificate) << size;
  }
  auto longer = der;
  longer.push_back(0);
  EXPECT_EQ(error_of(verify(longer)), TlsError::malformed_certificate);
}

TEST(TlsCertificate, NoFlippedByteIsAccepted) {
  const auto der = support::forge(host_key(1), right()).der;
  for (std::size_t i = 0; i < der.size(); ++i) {
    auto broken = der;
    broken[i] ^= 0x55;
    EXPECT_FALSE(verify(broken)) << i;
  }
}

TEST(TlsCertificate, TheMemoryIsBoundedAndForgetsTheLongestUnused) {
  CertificateVerifier verifier(2);
  std::vector<io::Bytes> certificates;
  for (std::uint64_t host = 0; host < 3; ++host) {
    io::Random random(host);
    certificates.push_back(make_certificate(host_key(host), random, now).der);
  }
  for (const auto index : {0, 1, 0, 2, 0, 1, 2}) {
    const auto host = verifier.verify(certificates[index], now);
    ASSERT_TRUE(host);
    EXPECT_EQ(*host, host_key(index).public_key());
    EXPECT_LE(verifier.remembered(), 2u);
  }
}

TEST(TlsCertificate, ARememberedOneStillExpires) {
  CertificateVerifier verifier(2);
  const auto der = support::forge(host_key(1), right()).der;
  EXPECT_TRUE(verifier.verify(der, now));
  EXPECT_EQ(error_of(verifier.verify(der, now + 2 * a_year)), TlsError::expired);
  EXPECT_EQ(error_of(verifier.verify(der, now - 2 * a_year)), TlsError::not_yet_valid);
}

TEST(TlsCertificate, ARefusedOneIsNotRemembered) {
  CertificateVerifier verifier(2);
  auto der = support::forge(host_key(1), right()).der;
  der.back() ^= 1;
  EXPECT_FALSE(verifier.verify(der, now));
  EXPECT_EQ(verifier.remembered(), 0u);
}

}  // namespace
}  // namespace flaresim::security
