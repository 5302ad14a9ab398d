// The client of port mapping against gateways that answer anything. An input is which protocols are in use, and the
// answers to its datagrams and HTTP requests, in the order in which these leave.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "protocols/io/signal.h"
#include "protocols/portmap/port_mapper.h"
#include "sim/gateway/igd.h"
#include "sim/gateway/nat_pmp.h"
#include "sim/gateway/pcp.h"
#include "tests/fuzz/gateway_input.h"
#include "tests/protocols/support/test_scheduler.h"

namespace {

using namespace flaresim;
using fuzz::Bytes;
using namespace std::chrono_literals;

const io::IpAddress router = boost::asio::ip::make_address("192.168.1.1");
const io::IpAddress host = boost::asio::ip::make_address("192.168.1.10");

/// None: silence.
using Answer = std::function<std::optional<Bytes>(const io::Endpoint& to, io::BytesView request)>;

/// A host whose every datagram and every HTTP request is answered at once by one function.
class Lan final : public io::Network {
 public:
  Lan(io::Scheduler& scheduler, Answer answer) : scheduler_(scheduler), answer_(std::move(answer)) {}
  ~Lan() override {
    if (open_ != 0) std::abort();
  }

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
    explicit Open(Lan& lan) : lan(lan), news(lan.scheduler_) { ++lan.open_; }
    ~Open() { --lan.open_; }
    Lan& lan;
    io::Signal news;
  };

  class Socket final : public io::DatagramSocket {
   public:
    explicit Socket(Lan& lan) : open_(lan) {}
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
    Connection(Lan& lan, const io::Endpoint& remote) : open_(lan), remote_(remote) {}
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
    std::optional<Bytes> answer_;
    std::size_t read_ = 0;
    std::optional<std::error_code> why_;
  };

  io::Scheduler& scheduler_;
  const Answer answer_;
  int open_ = 0;
};

/// The client's life: says how many ports were mapped.
std::size_t live(support::TestScheduler& scheduler, std::uint8_t kind, Answer answer) {
  Lan lan(scheduler, std::move(answer));
  std::size_t count = 0;
  {
    portmap::PortMapProfile profile;
    if (kind % 8 != 0) profile.pcp = kind & 1, profile.nat_pmp = kind & 2, profile.igd = kind & 4;
    portmap::PortMapper mapper(lan, profile);
    mapper.want(portmap::Transport::tcp, 4001);
    mapper.want(portmap::Transport::udp, 4002);
    scheduler.run_for(65s);
    for (const auto& port : mapper.mapped()) {
      if (port.outside.port == 0 || !port.outside.address.is_v4()) std::abort();
      ++count;
    }
    if (kind & 8) {
      io::spawn(scheduler.executor(), mapper.release());
      scheduler.run_for(30s);
      if (scheduler.armed_timers() != 0) std::abort();
    }
  }
  scheduler.settle();
  if (scheduler.armed_timers() != 0) std::abort();
  return count;
}

/// A gateway that works, and keeps what it answers.
class Gateway {
 public:
  explicit Gateway(int version)
      : map_(clock_, io::Random(std::uint64_t{1}), ports_, {.nat_pmp = true, .pcp = true, .igd = version}) {}

  Bytes answer(const io::Endpoint& to, io::BytesView request) {
    const io::Endpoint from{host, 1234};
    const auto text = io::as_text(request);
    Bytes out;
    if (to.port == gateway::ssdp_port) {
      const auto found = igd_.answer_search(text);
      if (!found.empty()) out = io::to_bytes(found.front());
    } else if (to.port == gateway::control_port) {
      out = request[0] == 0 ? answer_nat_pmp(map_, request, from) : answer_pcp(map_, request, from);
    } else {
      out = io::to_bytes(answer_http(text));
    }
    answers_.emplace_back(out.begin(), out.end());
    return out;
  }
  const std::vector<std::string>& answers() const { return answers_; }

 private:
  std::string answer_http(const std::string& text) {
    const auto between = [&](std::string_view before, std::string_view after) {
      const auto at = text.find(before);
      if (at == std::string::npos) return std::string();
      const auto from = at + before.size();
      return text.substr(from, text.find(after, from) - from);
    };
    const auto response = igd_.answer({.method = text.substr(0, text.find(' ')),
                                       .target = between(" ", " "),
                                       .soap_action = between("SOAPAction: ", "\r\n"),
                                       .body = text.substr(text.find("\r\n\r\n") + 4)},
                                      host);
    return "HTTP/1.1 " + std::to_string(response.status) +
           " x\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\n\r\n" + response.body;
  }

  support::TestScheduler clock_;  // stands still
  fuzz::Ports ports_;
  gateway::PortMap map_;
  gateway::Igd igd_{map_, "http://192.168.1.1:5000/rootDesc.xml", "uuid"};
  std::vector<std::string> answers_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  support::TestScheduler scheduler;
  const auto messages = fuzz::messages_of({data, size});
  std::size_t next = 0;
  live(scheduler, data[0], [&](const io::Endpoint&, io::BytesView) -> std::optional<Bytes> {
    if (next == messages.size()) return std::nullopt;
    return messages[next++];
  });
  return 0;
}

/// What gateways of ours say to each protocol, and to all at once; with and without an end that they are told of.
std::vector<Bytes> first_inputs() {
  std::vector<Bytes> all;
  for (const std::uint8_t kind : {0, 1, 2, 4, 8, 9, 10, 12}) {
    for (const int version : {1, 2}) {
      support::TestScheduler scheduler;
      Gateway gateway(version);
      const auto mapped = live(scheduler, kind, [&](const io::Endpoint& to, io::BytesView request) {
        return std::optional(gateway.answer(to, request));
      });
      if (mapped != 2) std::abort();
      all.push_back(fuzz::to_input(kind, gateway.answers()));
    }
  }
  return all;
}
