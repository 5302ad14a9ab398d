#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/node/node.h"
#include "tests/protocols/node/memory_network.h"
#include "tests/protocols/support/run_task.h"
#include "tests/protocols/support/test_scheduler.h"

namespace flaresim::support {

/// A node on a host of its own, listening.
struct Peer {
  struct Event {
    io::TimePoint at;
    std::string what;
    std::string detail;
  };

  Peer(MemoryHost& on, std::uint16_t on_port, std::uint64_t number, const node::NodeProfile& profile);
  ~Peer() { swarm().set_trace({}); }

  const multiformats::PeerId& id() const { return node.id(); }
  swarm::Swarm& swarm() { return node.swarm(); }
  /// Where others reach it.
  multiformats::Multiaddr address() const;
  std::vector<multiformats::Multiaddr> addresses() const;
  /// When it traced that, each time.
  std::vector<io::TimePoint> times_of(std::string_view what) const;

  MemoryHost& host;
  std::uint16_t port;
  node::Node node;
  std::vector<Event> events;
};

/// Nodes in a memory internet. Its end, at the latest with it, shuts all down, and expects that nothing is left behind.
class World {
 public:
  World() : internet(scheduler) {}
  ~World() { end(); }

  /// What is held up from without, such as a message that is late, has `settling` to come.
  void end(io::Duration settling = std::chrono::seconds(10));

  Peer& add(const std::string& address, const std::string& outside = "",
            const node::NodeProfile& profile = {}, std::uint16_t port = 4001);
  /// Dials directly and waits until both sides have identified each other.
  swarm::ConnectionPtr connect(Peer& from, Peer& to);
  /// A stream from one connected peer to the other, without more protocol than its negotiation.
  io::StreamPtr open(Peer& from, Peer& to, std::string_view protocol);
  /// `from` reaches `to` through `relay`, on which `to` reserves first.
  swarm::ConnectionPtr connect_through(Peer& relay, Peer& from, Peer& to);
  template <class T>
  T run(io::Task<T> task) {
    return run_task(scheduler, std::move(task));
  }

  TestScheduler scheduler;
  MemoryInternet internet;
  std::vector<std::unique_ptr<Peer>> peers;

 private:
  void expect_nothing_left(Peer& peer);

  bool ended_ = false;
};

/// Protobuf and framing by hand, as the specifications draw them.
io::Bytes varint(std::uint64_t value);
io::Bytes field(int number, io::BytesView bytes);
io::Bytes field(int number, std::string_view text);
io::Bytes number_field(int number, std::uint64_t value);
io::Bytes framed(io::BytesView message);
io::Bytes joined(std::initializer_list<io::Bytes> parts);

/// A handler that reads nothing, writes `bytes`, and ends its direction.
swarm::StreamHandler answers(io::Bytes bytes);
/// A handler that reads one framed message, then writes `bytes`, and keeps the stream open until the remote ends it.
swarm::StreamHandler replies(io::Bytes bytes);
/// A handler that reads what comes, and never answers.
swarm::StreamHandler silence();

/// Everything up to the end of the stream, or why it failed.
io::Task<io::Result<io::Bytes>> read_all(io::StreamPtr stream);
io::Task<io::Result<>> write_all(io::StreamPtr stream, io::Bytes bytes);
io::Task<io::Result<io::Bytes>> read_frame(io::StreamPtr stream);

}  // namespace flaresim::support
