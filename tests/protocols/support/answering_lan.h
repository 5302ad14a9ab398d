#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "protocols/io/network.h"
#include "protocols/io/signal.h"

namespace flaresim::support {

/// A host in a LAN whose every datagram and every HTTP request is answered at once by one function.
class AnsweringLan final : public io::Network {
 public:
  /// None: silence.
  using Answer = std::function<std::optional<io::Bytes>(const io::Endpoint& to, io::BytesView request)>;

  static inline const io::IpAddress router = boost::asio::ip::make_address("192.168.1.1");
  static inline const io::IpAddress host = boost::asio::ip::make_address("192.168.1.10");

  AnsweringLan(io::Scheduler& scheduler, Answer answer) : scheduler_(scheduler), answer_(std::move(answer)) {}

  /// Sockets and connections that somebody still has.
  int open() const { return open_; }

  io::Scheduler& scheduler() override { return scheduler_; }
  io::Random random(std::string_view purpose) override {
    return io::Random(std::uint64_t{1}).derive(purpose);
  }
  std::vector<io::IpAddress> addresses() const override { return {host}; }
  std::optional<io::IpAddress> default_gateway() const override { return router; }
  io::Result<std::unique_ptr<io::Listener>> listen(const io::Endpoint&) override {
    return io::fail(std::errc::operation_not_supported);
  }
  io::Result<std::shared_ptr<io::StreamSocket>> dial(const io::Endpoint& remote,
                                                     std::optional<std::uint16_t>) override {
    return std::make_shared<Connection>(*this, remote);
  }
  io::Result<std::unique_ptr<io::DatagramSocket>> bind(const io::Endpoint&) override {
    return std::make_unique<Socket>(*this);
  }

 private:
  struct Open {
    explicit Open(AnsweringLan& in) : lan(in), news(in.scheduler_) { ++lan.open_; }
    ~Open() { --lan.open_; }
    AnsweringLan& lan;
    io::Signal news;
  };

  class Socket final : public io::DatagramSocket {
   public:
    explicit Socket(AnsweringLan& lan) : open_(lan) {}
    io::Result<> send_to(io::BytesView payload, const io::Endpoint& to) override {
      if (closed_) return io::fail(std::errc::operation_canceled);
      auto answer = open_.lan.answer_(to, payload);
      const auto from = to.address.is_multicast() ? io::Endpoint{router, to.port} : to;
      if (answer) arrived_.push_back({from, std::move(*answer)});
      open_.news.notify_all();
      return {};
    }
    io::Task<io::Result<io::Datagram>> receive() override {
      while (arrived_.empty() && !closed_) co_await open_.news.wait();
      if (closed_) co_return io::fail(std::errc::operation_canceled);
      auto first = std::move(arrived_.front());
      arrived_.pop_front();
      co_return first;
    }
    io::Endpoint local() const override { return {host, 1234}; }
    void close() override {
      closed_ = true;
      open_.news.notify_all();
    }

   private:
    Open open_;
    std::deque<io::Datagram> arrived_;
    bool closed_ = false;
  };

  class Connection final : public io::StreamSocket {
   public:
    Connection(AnsweringLan& lan, const io::Endpoint& remote) : open_(lan), remote_(remote) {}
    io::Task<io::Result<>> connected() override { co_return io::Result<>{}; }
    io::Endpoint local() const override { return {host, 1234}; }
    io::Endpoint remote() const override { return remote_; }
    io::Task<io::Result<>> write(io::BytesView bytes) override {
      answer_ = open_.lan.answer_(remote_, bytes);
      co_return io::Result<>{};
    }
    io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override {
      while (!answer_ && !why_) co_await open_.news.wait();
      if (why_) co_return tl::unexpected(*why_);
      // In two pieces, so that a parser sees ends of buffers within a message.
      const auto piece = read_ == 0 ? answer_->size() / 2 : answer_->size() - read_;
      const auto count = std::min(into.size(), std::max<std::size_t>(piece, read_ < answer_->size() ? 1 : 0));
      std::copy_n(answer_->begin() + static_cast<long>(read_), count, into.begin());
      read_ += count;
      co_return count;
    }
    io::Task<io::Result<>> close_write() override { co_return io::Result<>{}; }
    using io::Stream::reset;
    void reset(std::error_code why) override {
      if (!why_) why_ = why;
      open_.news.notify_all();
    }

   private:
    Open open_;
    const io::Endpoint remote_;
    std::optional<io::Bytes> answer_;
    std::size_t read_ = 0;
    std::optional<std::error_code> why_;
  };

  io::Scheduler& scheduler_;
  const Answer answer_;
  int open_ = 0;
};

}  // namespace flaresim::support
