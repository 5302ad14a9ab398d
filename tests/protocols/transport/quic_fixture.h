#pragma once

#include <gtest/gtest.h>

#include <deque>

#include "protocols/security/tls_error.h"
#include "protocols/transport/quic/endpoint.h"
#include "tests/protocols/support/run_task.h"
#include "tests/protocols/transport/datagram_net.h"

namespace flaresim::quic {

using namespace std::chrono_literals;
using support::run_task;
using support::start;
using support::Started;

inline io::Endpoint endpoint(const std::string& address, std::uint16_t port = 4001) {
  return {boost::asio::ip::make_address(address), port};
}

inline io::Bytes pattern(std::size_t size, std::uint64_t seed = 9) {
  io::Bytes bytes(size);
  io::Random(seed).fill(bytes);
  return bytes;
}

inline crypto::PrivateKey host_key(std::uint64_t number) {
  io::Random random(number);
  return crypto::PrivateKey::generate(random);
}

/// A host with one endpoint that notes why it refused others.
struct Node {
  std::unique_ptr<io::Network> network;
  crypto::PrivateKey key;
  std::unique_ptr<QuicEndpoint> endpoint;
  std::vector<std::error_code> refusals;

  multiformats::PeerId peer() const { return key.public_key().peer_id(); }
};

struct NodeOptions {
  QuicProfile profile = {};
  support::SimpleNat* nat = nullptr;
  std::shared_ptr<security::CertificateVerifier> verifier = std::make_shared<security::CertificateVerifier>();
  security::CertificateKey certificate_key = security::CertificateKey::ed25519;
  security::KeyLog key_log = {};
  std::optional<security::Certificate> certificate = std::nullopt;  ///< instead of a right one
};

inline std::unique_ptr<Node> make_node(support::DatagramNet& net, const std::string& address,
                                       std::uint64_t number, NodeOptions options = {}) {
  auto node = std::make_unique<Node>(Node{net.host(address, options.nat), host_key(number), nullptr, {}});
  auto random = io::Random(number).derive("quic");
  security::TlsOptions tls{options.certificate_key, options.verifier, options.key_log};
  const auto now = net.scheduler().calendar();
  auto identity = options.certificate
                      ? std::make_shared<const security::TlsIdentity>(*options.certificate, std::move(tls))
                      : std::make_shared<const security::TlsIdentity>(node->key, random, now, std::move(tls));
  auto profile = options.profile;
  profile.on_refused = [raw = node.get()](const io::Endpoint&, std::error_code why) {
    raw->refusals.push_back(why);
  };
  auto opened =
      QuicEndpoint::open(*node->network, endpoint(address), std::move(identity), std::move(profile), random);
  EXPECT_TRUE(opened);
  node->endpoint = std::move(*opened);
  return node;
}

inline io::Task<io::Result<io::Bytes>> read_all(io::StreamPtr stream) {
  io::Bytes all;
  io::Bytes buffer(4096);
  for (;;) {
    const auto got = co_await stream->read(buffer);
    if (!got) co_return tl::unexpected(got.error());
    if (*got == 0) co_return all;
    io::append(all, io::BytesView(buffer).first(*got));
  }
}

inline io::Task<io::Result<>> write_and_close(io::StreamPtr stream, io::Bytes bytes) {
  if (auto sent = co_await stream->write(bytes); !sent) co_return sent;
  co_return co_await stream->close_write();
}

inline io::Task<> echo(io::StreamPtr stream) {
  io::Bytes buffer(4096);
  for (;;) {
    const auto got = co_await stream->read(buffer);
    if (!got) co_return;
    if (*got == 0) break;
    if (auto sent = co_await stream->write(io::BytesView(buffer).first(*got)); !sent) co_return;
  }
  (void)co_await stream->close_write();
}

inline io::Task<> echo_all(io::Scheduler* scheduler, muxer::MuxedConnectionPtr connection) {
  for (;;) {
    auto stream = co_await connection->accept_stream();
    if (!stream) co_return;
    io::spawn(scheduler->executor(), echo(std::move(*stream)));
  }
}

inline io::Task<io::Result<io::Bytes>> ask(muxer::MuxedConnectionPtr connection, io::Bytes question) {
  auto stream = co_await connection->open_stream();
  if (!stream) co_return tl::unexpected(stream.error());
  if (auto sent = co_await write_and_close(*stream, std::move(question)); !sent)
    co_return tl::unexpected(sent.error());
  co_return co_await read_all(*stream);
}

/// Two nodes, and what they make of each other.
struct QuicTest : testing::Test {
  support::TestScheduler scheduler;
  support::DatagramNet net{scheduler, 42};
  std::unique_ptr<Node> alice;
  std::unique_ptr<Node> bob;
  std::optional<QuicConnection> at_alice;
  std::optional<QuicConnection> at_bob;

  ~QuicTest() override { shut(); }

  void make_nodes(QuicProfile profile = {}) {
    alice = make_node(net, "192.0.2.1", 1, {profile});
    bob = make_node(net, "192.0.2.2", 2, {profile});
  }
  void connect() {
    const auto accepting = start(scheduler, bob->endpoint->accept());
    auto dialled = run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), bob->peer(), 10s));
    ASSERT_TRUE(dialled) << dialled.error().message();
    scheduler.run_for(200ms);
    ASSERT_TRUE(accepting.done());
    ASSERT_TRUE(accepting.value());
    at_alice = std::move(*dialled);
    at_bob = std::move(*accepting.value());
  }
  void echo_at_bob() { io::spawn(scheduler.executor(), echo_all(&scheduler, at_bob->muxed)); }
  /// Closes everything and checks that nothing is left.
  void shut() {
    at_alice.reset();
    at_bob.reset();
    for (auto* node : {alice.get(), bob.get()}) {
      if (node == nullptr || node->endpoint == nullptr) continue;
      node->endpoint->close();
      EXPECT_EQ(node->endpoint->connections(), 0u);
      EXPECT_EQ(node->endpoint->lingering(), 0u);
    }
    scheduler.settle();
    EXPECT_EQ(scheduler.armed_timers(), 0u);
    alice.reset();
    bob.reset();
    scheduler.run();
  }
};

}  // namespace flaresim::quic
