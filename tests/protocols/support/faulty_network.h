#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "protocols/io/network.h"
#include "protocols/io/random.h"
#include "tests/protocols/support/fault_profile.h"

namespace flaresim::support {

/// A network whose datagrams are spoilt as they arrive. TCP passes as it is.
class FaultyNetwork final : public io::Network {
 public:
  FaultyNetwork(io::Network& below, FaultProfile profile, std::uint64_t seed)
      : below_(below), profile_(profile), random_(seed) {}

  std::uint64_t spoilt() const { return spoilt_; }

  io::Scheduler& scheduler() override { return below_.scheduler(); }
  bool is_simulated() const override { return below_.is_simulated(); }
  io::Random random(std::string_view purpose) override { return below_.random(purpose); }
  std::vector<io::IpAddress> addresses() const override { return below_.addresses(); }
  std::optional<io::IpAddress> default_gateway() const override { return below_.default_gateway(); }
  io::Result<std::unique_ptr<io::Listener>> listen(const io::Endpoint& local) override {
    return below_.listen(local);
  }
  io::Result<std::shared_ptr<io::StreamSocket>> dial(const io::Endpoint& remote,
                                                     std::optional<std::uint16_t> local_port) override {
    return below_.dial(remote, local_port);
  }
  io::Result<std::unique_ptr<io::DatagramSocket>> bind(const io::Endpoint& local) override {
    auto socket = below_.bind(local);
    if (!socket) return tl::unexpected(socket.error());
    return std::make_unique<Socket>(*this, std::move(*socket));
  }

 private:
  class Socket final : public io::DatagramSocket {
   public:
    Socket(FaultyNetwork& network, std::unique_ptr<io::DatagramSocket> below)
        : network_(network), below_(std::move(below)) {}

    io::Result<> send_to(io::BytesView payload, const io::Endpoint& to) override {
      return below_->send_to(payload, to);
    }
    /// A datagram that is late holds up those behind it.
    io::Task<io::Result<io::Datagram>> receive() override {
      auto datagram = io::Result<io::Datagram>(io::fail(std::errc::operation_canceled));
      do {
        if (again_) co_return *std::exchange(again_, std::nullopt);
        datagram = co_await below_->receive();
      } while (datagram && network_.strikes(network_.profile_.dropped));
      if (!datagram) co_return datagram;
      auto& payload = datagram->payload;
      if (network_.strikes(network_.profile_.truncated))
        payload.resize(network_.random_.below(payload.size() + 1));
      if (network_.strikes(network_.profile_.duplicated)) again_ = *datagram;
      if (network_.strikes(network_.profile_.delayed)) {
        const auto late = network_.random_.between(io::Duration::zero(), network_.profile_.longest_delay);
        co_await network_.scheduler().sleep_for(late);
      }
      if (closed_) co_return io::fail(std::errc::operation_canceled);
      co_return datagram;
    }
    io::Result<> join(const io::IpAddress& group) override { return below_->join(group); }
    io::Endpoint local() const override { return below_->local(); }
    void close() override {
      closed_ = true;
      again_.reset();
      below_->close();
    }

   private:
    FaultyNetwork& network_;
    std::unique_ptr<io::DatagramSocket> below_;
    std::optional<io::Datagram> again_;
    bool closed_ = false;
  };

  bool strikes(double probability) {
    const bool does = random_.uniform() < probability;
    spoilt_ += does;
    return does;
  }

  io::Network& below_;
  FaultProfile profile_;
  io::Random random_;
  std::uint64_t spoilt_ = 0;
};

}  // namespace flaresim::support
