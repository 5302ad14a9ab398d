#pragma once

#include <ns3/ptr.h>

#include <deque>
#include <memory>

#include "protocols/io/network.h"
#include "protocols/io/signal.h"
#include "sim/net/tcp_layer.h"
#include "sim/net/tcp_socket.h"

namespace flaresim::net {

/// A simulated TCP connection as protocols see it.
class TcpStream final : public io::StreamSocket, private TcpOwner {
 public:
  TcpStream(io::Scheduler& scheduler, ns3::Ptr<TcpSocket> socket);
  ~TcpStream() override;

  using io::Stream::reset;
  io::Task<io::Result<>> connected() override;
  io::Endpoint local() const override { return socket_->local(); }
  io::Endpoint remote() const override { return socket_->remote(); }
  io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override;
  io::Task<io::Result<>> write(io::BytesView bytes) override;
  io::Task<io::Result<>> close_write() override;
  void reset(std::error_code why) override;

 private:
  void incoming() override { incoming_.notify_all(); }
  void outgoing() override { outgoing_.notify_all(); }
  std::error_code failure() const { return reset_ ? reset_ : socket_->error(); }

  ns3::Ptr<TcpSocket> socket_;
  io::Signal incoming_;
  io::Signal outgoing_;
  std::error_code reset_;
  bool write_closed_ = false;
};

class TcpListener final : public io::Listener, private TcpAcceptor {
 public:
  /// Accepted by the system and not yet by the program; net.core.somaxconn.
  static constexpr std::size_t max_backlog = 4096;

  static io::Result<std::unique_ptr<io::Listener>> open(io::Scheduler& scheduler, ns3::Ptr<TcpLayer> layer,
                                                        const io::Endpoint& local);
  TcpListener(io::Scheduler& scheduler, ns3::Ptr<TcpLayer> layer);
  ~TcpListener() override;

  io::Task<io::Result<std::shared_ptr<io::StreamSocket>>> accept() override;
  io::Endpoint local() const override { return local_; }
  void close() override;

 private:
  bool has_room() const override { return backlog_.size() < max_backlog; }
  void accepted(const ns3::Ptr<TcpSocket>& connection) override;

  io::Scheduler& scheduler_;
  ns3::Ptr<TcpLayer> layer_;
  io::Endpoint local_;
  io::Signal arrived_;
  std::deque<std::shared_ptr<TcpStream>> backlog_;
  bool open_ = false;
};

}  // namespace flaresim::net
