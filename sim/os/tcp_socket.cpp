#include "sim/os/tcp_socket.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cassert>

#include "sim/os/socket_error.h"

namespace flaresim::os {
namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

namespace {

/// What became of a connection that was being opened; `would_block` while that is open.
Error outcome(tcp::socket& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return {error, boost::system::system_category()};
  Error unconnected;
  socket.remote_endpoint(unconnected);
  return unconnected ? asio::error::would_block : Error();
}

}  // namespace

TcpSocket::TcpSocket(tcp::socket socket, const io::Endpoint& remote, State state)
    : socket_(std::move(socket)), remote_(remote), state_(state) {
  Error ignored;
  const auto local = socket_.local_endpoint(ignored);
  local_ = {local.address(), local.port()};
  socket_.set_option(tcp::no_delay(true), ignored);
}

TcpSocket::~TcpSocket() { TcpSocket::reset(std::make_error_code(std::errc::operation_canceled)); }

io::Task<io::Result<>> TcpSocket::connected() {
  while (state_ == State::connecting && !reset_) {
    Error error;
    co_await socket_.async_wait(tcp::socket::wait_write, asio::redirect_error(asio::use_awaitable, error));
    if (reset_ || state_ == State::connected) break;
    if (!error) error = outcome(socket_);
    if (!error) state_ = State::connected;
    if (error && error != asio::error::would_block) reset(connect_error(error));
  }
  if (reset_) co_return tl::unexpected(*reset_);
  co_return io::Result<>{};
}

io::Task<io::Result<std::size_t>> TcpSocket::read(std::span<std::uint8_t> into) {
  assert(!into.empty());
  if (reset_) co_return tl::unexpected(*reset_);
  if (read_ended_) co_return std::size_t{0};
  Error error;
  const auto count = co_await socket_.async_read_some(asio::buffer(into.data(), into.size()),
                                                      asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::eof && !reset_) {
    read_ended_ = true;
    co_return std::size_t{0};
  }
  if (error || reset_) co_return ended_by(socket_error(error));
  co_return count;
}

io::Task<io::Result<>> TcpSocket::write(io::BytesView bytes) {
  assert(!write_closed_);
  if (reset_) co_return tl::unexpected(*reset_);
  Error error;
  co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()),
                             asio::redirect_error(asio::use_awaitable, error));
  if (error || reset_) co_return ended_by(socket_error(error));
  co_return io::Result<>{};
}

io::Task<io::Result<>> TcpSocket::close_write() {
  if (reset_) co_return tl::unexpected(*reset_);
  if (write_closed_) co_return io::Result<>{};
  write_closed_ = true;
  Error error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  if (error) co_return ended_by(socket_error(error));
  co_return io::Result<>{};
}

void TcpSocket::reset(std::error_code why) {
  if (reset_) return;
  reset_ = why;
  Error ignored;
  // Without lingering, closing sends a RST, and nothing at all while our SYN is unanswered. Where both
  // directions have ended by themselves, the last of what we wrote may still be on its way: let the kernel
  // finish.
  const bool ended = read_ended_ && write_closed_;
  if (!ended) socket_.set_option(tcp::socket::linger(true, 0), ignored);
  socket_.close(ignored);
}

/// The kernel tells an error once; from then on the stream remembers it. An earlier reason wins.
tl::unexpected<std::error_code> TcpSocket::ended_by(std::error_code why) {
  reset(why);
  return tl::unexpected(*reset_);
}

}  // namespace flaresim::os
