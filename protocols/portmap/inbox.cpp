#include "protocols/portmap/inbox.h"

#include <algorithm>
#include <utility>

namespace flaresim::portmap {
namespace {

constexpr std::size_t most_waiting = 64;

}  // namespace

struct Inbox::State {
  State(io::Scheduler& scheduler, std::unique_ptr<io::DatagramSocket> open_socket)
      : socket(std::move(open_socket)), arrived(scheduler) {}

  static io::Task<> fill(std::shared_ptr<State> state) {
    while (true) {
      auto datagram = co_await state->socket->receive();
      if (!datagram) break;
      if (state->waiting.size() < most_waiting) state->waiting.push_back(std::move(*datagram));
      state->arrived.notify_all();
    }
  }

  std::unique_ptr<io::DatagramSocket> socket;
  io::Signal arrived;
  bool closed = false;
  std::deque<io::Datagram> waiting;
};

io::Result<std::shared_ptr<Inbox>> Inbox::open(io::Network& network) {
  auto socket = network.bind({boost::asio::ip::address_v4::any(), 0});
  if (!socket) return tl::unexpected(socket.error());
  auto state = std::make_shared<State>(network.scheduler(), std::move(*socket));
  io::spawn(network.scheduler().executor(), State::fill(state));
  return std::shared_ptr<Inbox>(new Inbox(std::move(state)));
}

Inbox::~Inbox() { close(); }

void Inbox::close() {
  state_->closed = true;
  state_->socket->close();
  state_->arrived.notify_all();
}

io::Result<> Inbox::send_to(io::BytesView payload, const io::Endpoint& to) {
  return state_->socket->send_to(payload, to);
}

io::Task<std::optional<io::Datagram>> Inbox::next(std::shared_ptr<Inbox> inbox, io::TimePoint until) {
  State& state = *inbox->state_;
  while (state.waiting.empty() && !state.closed) {
    const bool notified = co_await state.arrived.wait_until(until);
    if (!notified && state.waiting.empty()) co_return std::nullopt;
  }
  if (state.closed) co_return std::nullopt;
  std::optional<io::Datagram> datagram = std::move(state.waiting.front());
  state.waiting.pop_front();
  co_return datagram;
}

io::Result<std::shared_ptr<Inbox>> Session::open_inbox() {
  if (closed_) return io::fail(std::errc::operation_canceled);
  auto inbox = Inbox::open(network_);
  std::erase_if(inboxes_, [](const auto& one) { return one.expired(); });
  if (inbox) inboxes_.push_back(*inbox);
  return inbox;
}

io::Result<std::shared_ptr<io::StreamSocket>> Session::dial(const io::Endpoint& remote) {
  if (closed_) return io::fail(std::errc::operation_canceled);
  auto socket = network_.dial(remote, {});
  std::erase_if(sockets_, [](const auto& one) { return one.expired(); });
  if (socket) sockets_.push_back(*socket);
  return socket;
}

void Session::close() {
  closed_ = true;
  for (const auto& one : inboxes_)
    if (const auto inbox = one.lock()) inbox->close();
  for (const auto& one : sockets_)
    if (const auto socket = one.lock()) socket->reset();
}

io::Task<io::Result<io::Bytes>> ask(SessionPtr session, io::Bytes request, io::Endpoint whom,
                                    io::Duration limit, bool (*is_answer)(io::BytesView, io::BytesView)) {
  const auto inbox = session->open_inbox();
  if (!inbox) co_return tl::unexpected(inbox.error());
  auto& scheduler = session->scheduler();
  const auto give_up_at = scheduler.now() + limit;
  for (io::Duration wait = std::chrono::milliseconds(250); scheduler.now() < give_up_at; wait *= 2) {
    if (auto sent = (*inbox)->send_to(request, whom); !sent) co_return tl::unexpected(sent.error());
    const auto again_at = std::min(scheduler.now() + wait, give_up_at);
    while (auto datagram = co_await Inbox::next(*inbox, again_at))
      if (datagram->from == whom && is_answer(request, datagram->payload))
        co_return std::move(datagram->payload);
  }
  co_return io::fail(std::errc::timed_out);
}

}  // namespace flaresim::portmap
