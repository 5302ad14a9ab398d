#include "tests/protocols/transport/datagram_net.h"

#include <deque>
#include <utility>

#include "protocols/io/signal.h"

namespace flaresim::support {

void SimpleNat::rebind() {
  shift_ += 1000;
  outside_of_.clear();
  inside_of_.clear();
  written_to_.clear();
}

io::Endpoint SimpleNat::out(const io::Endpoint& inside, const io::Endpoint& to) {
  const auto port = static_cast<std::uint16_t>(inside.port + shift_);
  const auto mapping = outside_of_.try_emplace(inside, io::Endpoint{outside_, port}).first->second;
  inside_of_[mapping] = inside;
  written_to_.emplace(mapping, to);
  return mapping;
}

io::Endpoint SimpleNat::in(const io::Endpoint& from, const io::Endpoint& outside) {
  const auto mapping = inside_of_.find(outside);
  if (mapping == inside_of_.end() || !written_to_.contains({outside, from})) {
    ++dropped_;
    return {};
  }
  return mapping->second;
}

class NetSocket final : public io::DatagramSocket {
 public:
  NetSocket(DatagramNet& net, io::Endpoint local)
      : net_(net), local_(std::move(local)), arrived_(net.scheduler()) {
    net_.sockets_[local_] = this;
  }
  ~NetSocket() override { NetSocket::close(); }

  io::Result<> send_to(io::BytesView payload, const io::Endpoint& to) override {
    if (closed_) return io::fail(std::errc::operation_canceled);
    if (to.port == 1) return io::fail(std::errc::network_unreachable);  // so that tests can have a dead route
    net_.send(local_, to, payload);
    return {};
  }
  io::Task<io::Result<io::Datagram>> receive() override {
    while (queue_.empty() && !closed_) co_await arrived_.wait();
    if (closed_) co_return io::fail(std::errc::operation_canceled);
    auto datagram = std::move(queue_.front());
    queue_.pop_front();
    co_return datagram;
  }
  io::Endpoint local() const override { return local_; }
  void close() override {
    if (std::exchange(closed_, true)) return;
    net_.sockets_.erase(local_);
    arrived_.notify_all();
  }
  void arrive(io::Datagram datagram) {
    queue_.push_back(std::move(datagram));
    arrived_.notify_all();
  }

 private:
  DatagramNet& net_;
  io::Endpoint local_;
  io::Signal arrived_;
  std::deque<io::Datagram> queue_;
  bool closed_ = false;
};

class NetHost final : public io::Network {
 public:
  NetHost(DatagramNet& net, io::IpAddress address) : net_(net), address_(std::move(address)) {}

  io::Scheduler& scheduler() override { return net_.scheduler(); }
  io::Random random(std::string_view purpose) override {
    return io::Random(1).derive(address_.to_string()).derive(purpose);
  }
  std::vector<io::IpAddress> addresses() const override { return {address_}; }
  io::Result<std::unique_ptr<io::Listener>> listen(const io::Endpoint&) override {
    return io::fail(std::errc::operation_not_supported);
  }
  io::Result<std::shared_ptr<io::StreamSocket>> dial(const io::Endpoint&,
                                                     std::optional<std::uint16_t>) override {
    return io::fail(std::errc::operation_not_supported);
  }
  io::Result<std::unique_ptr<io::DatagramSocket>> bind(const io::Endpoint& local) override {
    if (net_.sockets_.contains(local)) return io::fail(std::errc::address_in_use);
    return std::make_unique<NetSocket>(net_, local);
  }

 private:
  DatagramNet& net_;
  io::IpAddress address_;
};

SimpleNat& DatagramNet::nat(const std::string& outside) {
  return nats_.try_emplace(boost::asio::ip::make_address(outside), outside).first->second;
}

std::unique_ptr<io::Network> DatagramNet::host(const std::string& address, SimpleNat* nat) {
  const auto own = boost::asio::ip::make_address(address);
  if (nat != nullptr) behind_[own] = nat;
  return std::make_unique<NetHost>(*this, own);
}

void DatagramNet::send(const io::Endpoint& from, const io::Endpoint& to, io::BytesView payload) {
  auto bytes = io::to_bytes(payload);
  if (tap && !tap(from, to, bytes)) return;
  trace.push_back({scheduler_.now(), from, to, bytes.size()});
  if (random_.uniform() < loss) return;
  const auto nat = behind_.find(from.address);
  const auto source = nat == behind_.end() ? from : nat->second->out(from, to);
  inject(source, to, bytes);
}

void DatagramNet::inject(const io::Endpoint& from, const io::Endpoint& to, io::BytesView payload) {
  scheduler_.schedule(scheduler_.now() + latency,
                      [this, from, to, bytes = io::to_bytes(payload)] { deliver(from, to, bytes); });
}

void DatagramNet::deliver(io::Endpoint from, io::Endpoint to, io::Bytes payload) {
  if (const auto nat = nats_.find(to.address); nat != nats_.end()) to = nat->second.in(from, to);
  const auto socket = sockets_.find(to);
  if (socket != sockets_.end()) socket->second->arrive({std::move(from), std::move(payload)});
}

}  // namespace flaresim::support
