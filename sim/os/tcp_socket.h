#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "protocols/io/network.h"

namespace flaresim::os {

/// `io::StreamSocket` over a socket of the kernel.
class TcpSocket final : public io::StreamSocket {
 public:
  enum class State { connecting, connected };

  /// Takes a non-blocking socket that is connected, or on its way to `remote`.
  TcpSocket(boost::asio::ip::tcp::socket socket, const io::Endpoint& remote, State state);
  ~TcpSocket() override;

  io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override;
  io::Task<io::Result<>> write(io::BytesView bytes) override;
  io::Task<io::Result<>> close_write() override;
  void reset(std::error_code why) override;
  using io::Stream::reset;

  io::Task<io::Result<>> connected() override;
  io::Endpoint local() const override { return local_; }
  io::Endpoint remote() const override { return remote_; }

 private:
  tl::unexpected<std::error_code> ended_by(std::error_code why);

  boost::asio::ip::tcp::socket socket_;
  io::Endpoint local_;
  io::Endpoint remote_;
  State state_;
  std::optional<std::error_code> reset_;
  bool read_ended_ = false;
  bool write_closed_ = false;
};

}  // namespace flaresim::os
