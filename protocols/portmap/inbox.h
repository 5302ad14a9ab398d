#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "protocols/io/network.h"
#include "protocols/io/signal.h"
#include "protocols/io/task.h"

namespace flaresim::portmap {

class Inbox;
class Session;
using SessionPtr = std::shared_ptr<Session>;

/// What the calls of one user have open on a network, so that all of them can be ended at once.
class Session {
 public:
  explicit Session(io::Network& network) : network_(network) {}

  io::Network& network() { return network_; }
  io::Scheduler& scheduler() { return network_.scheduler(); }
  bool closed() const { return closed_; }
  /// `errc::operation_canceled` once closed.
  io::Result<std::shared_ptr<Inbox>> open_inbox();
  io::Result<std::shared_ptr<io::StreamSocket>> dial(const io::Endpoint& remote);
  /// Every call that is under way fails as soon as the scheduler runs, and every later one at once.
  void close();

 private:
  io::Network& network_;
  bool closed_ = false;
  std::vector<std::weak_ptr<Inbox>> inboxes_;
  std::vector<std::weak_ptr<io::StreamSocket>> sockets_;
};
/// A UDP socket of our own, whose datagrams can be waited for until a certain time. Closed with its last handle.
class Inbox {
 public:
  static io::Result<std::shared_ptr<Inbox>> open(io::Network& network);
  ~Inbox();
  void close();

  io::Result<> send_to(io::BytesView payload, const io::Endpoint& to);
  /// None when the time came first, or the inbox was closed.
  static io::Task<std::optional<io::Datagram>> next(std::shared_ptr<Inbox> inbox, io::TimePoint until);

 private:
  struct State;
  explicit Inbox(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

/// Asks until an answer comes: at once, and again at intervals that begin with 250 ms and double, as RFC 6886 §3.1 has
/// it, no longer than `limit`. Answers are datagrams from whom we asked that `is_answer` accepts. `errc::timed_out`.
io::Task<io::Result<io::Bytes>> ask(SessionPtr session, io::Bytes request, io::Endpoint whom,
                                    io::Duration limit,
                                    bool (*is_answer)(io::BytesView request, io::BytesView answer));

}  // namespace flaresim::portmap
