#include "sim/net/tcp_stream.h"

#include <utility>

namespace flaresim::net {

TcpStream::TcpStream(io::Scheduler& scheduler, ns3::Ptr<TcpSocket> socket)
    : socket_(std::move(socket)), incoming_(scheduler), outgoing_(scheduler) {
  socket_->set_owner(this);
}

TcpStream::~TcpStream() {
  socket_->set_owner(nullptr);
  if (!socket_->finished()) socket_->abort();
}

io::Task<io::Result<>> TcpStream::connected() {
  for (;;) {
    if (failure()) co_return tl::unexpected(failure());
    if (socket_->established()) co_return io::Result<>{};
    co_await outgoing_.wait();
  }
}

/// What arrived before the other end failed is still read, as from a real socket; after our own reset nothing
/// is.
io::Task<io::Result<std::size_t>> TcpStream::read(std::span<std::uint8_t> into) {
  if (into.empty()) co_return io::Result<std::size_t>{0};
  for (;;) {
    if (reset_) co_return tl::unexpected(reset_);
    if (const auto taken = socket_->take(into); taken > 0) co_return taken;
    if (socket_->error()) co_return tl::unexpected(socket_->error());
    if (socket_->at_end()) co_return io::Result<std::size_t>{0};
    co_await incoming_.wait();
  }
}

io::Task<io::Result<>> TcpStream::write(io::BytesView bytes) {
  if (write_closed_) co_return io::fail(std::errc::broken_pipe);
  for (;;) {
    if (failure()) co_return tl::unexpected(failure());
    bytes = bytes.subspan(socket_->put(bytes));
    if (bytes.empty()) co_return io::Result<>{};
    co_await outgoing_.wait();
  }
}

io::Task<io::Result<>> TcpStream::close_write() {
  if (failure()) co_return tl::unexpected(failure());
  write_closed_ = true;
  socket_->finish_writing();
  co_return io::Result<>{};
}

void TcpStream::reset(std::error_code why) {
  if (failure()) return;
  reset_ = why;
  socket_->abort();
  incoming();
  outgoing();
}

TcpListener::TcpListener(io::Scheduler& scheduler, ns3::Ptr<TcpLayer> layer)
    : scheduler_(scheduler), layer_(std::move(layer)), arrived_(scheduler) {}

TcpListener::~TcpListener() { close(); }

io::Result<std::unique_ptr<io::Listener>> TcpListener::open(io::Scheduler& scheduler,
                                                            ns3::Ptr<TcpLayer> layer,
                                                            const io::Endpoint& local) {
  auto listener = std::make_unique<TcpListener>(scheduler, std::move(layer));
  const auto port = listener->layer_->listen(local, *listener);
  if (!port) return tl::unexpected(port.error());
  listener->local_ = {local.address, *port};
  listener->open_ = true;
  return listener;
}

io::Task<io::Result<std::shared_ptr<io::StreamSocket>>> TcpListener::accept() {
  while (open_ && backlog_.empty()) co_await arrived_.wait();
  if (!open_) co_return io::fail(std::errc::operation_canceled);
  std::shared_ptr<io::StreamSocket> stream = std::move(backlog_.front());
  backlog_.pop_front();
  co_return stream;
}

void TcpListener::close() {
  if (!std::exchange(open_, false)) return;
  layer_->stop_listening(local_);
  backlog_.clear();
  arrived_.notify_all();
}

void TcpListener::accepted(const ns3::Ptr<TcpSocket>& connection) {
  backlog_.push_back(std::make_shared<TcpStream>(scheduler_, connection));
  arrived_.notify_all();
}

}  // namespace flaresim::net
