#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "protocols/io/network.h"
#include "protocols/io/signal.h"
#include "protocols/io/task.h"

namespace flaresim::portmap {

/// A UDP socket of our own, whose datagrams can be waited for until a certain time. Closed with its last handle.
class Inbox {
 public:
  static io::Result<std::shared_ptr<Inbox>> open(io::Network& network);
  ~Inbox();

  io::Result<> send_to(io::BytesView payload, const io::Endpoint& to);
  /// None when the time came first.
  static io::Task<std::optional<io::Datagram>> next(std::shared_ptr<Inbox> inbox, io::TimePoint until);

 private:
  struct State;
  explicit Inbox(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

/// Asks until an answer comes: at once, and again at intervals that begin with 250 ms and double, as RFC 6886 §3.1 has
/// it, no longer than `limit`. Answers are datagrams from whom we asked that `is_answer` accepts. `errc::timed_out`.
io::Task<io::Result<io::Bytes>> ask(io::Network& network, io::Bytes request, io::Endpoint whom,
                                    io::Duration limit,
                                    bool (*is_answer)(io::BytesView request, io::BytesView answer));

}  // namespace flaresim::portmap
