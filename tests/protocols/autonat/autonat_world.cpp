#include "tests/protocols/autonat/autonat_world.h"

namespace flaresim::autonat {

using multiformats::Multiaddr;
using support::Peer;

namespace {

io::Task<> play(std::shared_ptr<Script> script, io::StreamPtr stream) {
  auto request = co_await support::read_frame(stream);
  if (!request) co_return;
  script->requests.push_back(std::move(*request));
  const auto answer = script->answers.front();
  if (script->answers.size() > 1) script->answers.pop_front();
  if (answer.empty()) {
    (void)co_await support::read_all(stream);
    co_return;
  }
  if (!co_await stream->write(answer)) co_return;
  (void)co_await stream->close_write();
  (void)co_await support::read_all(stream);
}

}  // namespace

std::unique_ptr<V1Client> AutonatWorld::v1_client(Peer& peer, V1ClientProfile profile) {
  return std::make_unique<V1Client>(swarm_of(peer), peer.node.identify(), profile);
}

std::unique_ptr<V2Client> AutonatWorld::v2_client(Peer& peer, V2ClientProfile profile) {
  return std::make_unique<V2Client>(swarm_of(peer), peer.node.identify(), profile);
}

std::unique_ptr<V1Server> AutonatWorld::v1_server(Peer& peer, V1ServerProfile profile) {
  return std::make_unique<V1Server>(swarm_of(peer), profile);
}

std::unique_ptr<V2Server> AutonatWorld::v2_server(Peer& peer, V2ServerProfile profile) {
  return std::make_unique<V2Server>(swarm_of(peer), profile);
}

std::shared_ptr<Script> AutonatWorld::script(Peer& peer, std::string_view protocol,
                                             std::vector<io::Bytes> answers) {
  auto script = std::make_shared<Script>();
  script->answers.assign(answers.begin(), answers.end());
  peer.swarm().handle(std::string(protocol),
                      [script](swarm::IncomingStream in) { return play(script, in.stream); });
  return script;
}

Multiaddr AutonatWorld::listen_quic(Peer& peer) {
  const auto port = std::to_string(peer.port);
  EXPECT_TRUE(peer.swarm().listen(parsed("/ip4/0.0.0.0/udp/" + port + "/quic-v1")));
  return Multiaddr::from_endpoint({peer.host.outside(), peer.port}, multiformats::Transport::quic_v1);
}

io::Result<io::Bytes> AutonatWorld::ask(Peer& from, Peer& to, std::string_view protocol,
                                        const io::Bytes& bytes) {
  const auto stream = open(from, to, protocol);
  EXPECT_TRUE(run(support::write_all(stream, bytes)));
  return run(support::read_frame(stream));
}

std::vector<double> AutonatWorld::seconds_of(const Peer& peer, std::string_view what) const {
  std::vector<double> out;
  for (const auto at : peer.times_of(what)) {
    out.push_back(std::chrono::duration<double>(at.time_since_epoch()).count());
  }
  return out;
}

Multiaddr parsed(const std::string& address) { return Multiaddr::from_string(address).value(); }

io::Bytes bytes_of(const multiformats::PeerId& peer) { return io::to_bytes(peer.bytes()); }

io::Bytes fixed64_field(int number, std::uint64_t value) {
  auto out = support::varint(static_cast<std::uint64_t>(number) << 3 | 1);
  for (int byte = 0; byte < 8; ++byte) out.push_back(static_cast<std::uint8_t>(value >> (8 * byte)));
  return out;
}

}  // namespace flaresim::autonat
