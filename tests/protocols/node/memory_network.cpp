#include "tests/protocols/node/memory_network.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace flaresim::support {

using namespace std::chrono_literals;

MemoryHost& MemoryInternet::add_host(const std::string& address, const std::string& outside) {
  const auto inside = boost::asio::ip::make_address(address);
  hosts_.push_back(std::make_unique<MemoryHost>(
      *this, inside, outside.empty() ? inside : boost::asio::ip::make_address(outside)));
  return *hosts_.back();
}

void MemoryInternet::set_latency(const MemoryHost& from, const MemoryHost& to, io::Duration latency) {
  latencies_[{from.outside(), to.outside()}] = latency;
}

io::Duration MemoryInternet::latency(const io::Endpoint& from, const io::Endpoint& to) const {
  const auto known = latencies_.find({from.address, to.address});
  return known == latencies_.end() ? 10ms : known->second;
}

MemoryHost* MemoryInternet::host_at(const io::IpAddress& outside) const {
  for (const auto& host : hosts_) {
    if (host->outside() == outside) return host.get();
  }
  return nullptr;
}

void MemoryInternet::send(const std::shared_ptr<MemorySocket>& socket, int tries) {
  if (!socket->dialling()) return;
  const Syn syn{scheduler_.now(), socket->outside_, socket->remote_};
  syns.push_back(syn);
  if (auto* host = host_at(syn.from.address)) host->sent_.insert({syn.from, syn.to});
  const std::weak_ptr<MemorySocket> weak = socket;
  scheduler_.schedule(scheduler_.now() + latency(syn.from, syn.to), [this, weak, syn] {
    if (const auto from = weak.lock()) arrive(from, syn);
  });
  // Linux: 1 s, 2 s, 4 s … between tries.
  scheduler_.schedule(scheduler_.now() + std::chrono::seconds(1 << tries), [this, weak, tries] {
    if (const auto from = weak.lock(); from && tries < 6) send(from, tries + 1);
  });
}

void MemoryInternet::arrive(const std::shared_ptr<MemorySocket>& from, const Syn& syn) {
  if (!from->dialling()) return;
  auto* host = host_at(syn.to.address);
  auto verdict = host ? (rule ? rule(syn) : Verdict::pass) : Verdict::drop;
  if (verdict == Verdict::pass && !host->lets_in(syn)) verdict = Verdict::drop;
  if (verdict == Verdict::drop) return;

  const auto back = scheduler_.now() + latency(syn.to, syn.from);
  const auto there_again = back + latency(syn.from, syn.to);
  const auto peer = verdict == Verdict::pass ? host->peer_for(syn) : nullptr;
  if (!peer) {
    scheduler_.schedule(back, [from] { from->reset(std::make_error_code(std::errc::connection_refused)); });
    return;
  }
  join(from, peer);
  scheduler_.schedule(back, [from] { from->establish(); });
  scheduler_.schedule(there_again, [peer] { peer->establish(); });
}

void MemoryInternet::join(const std::shared_ptr<MemorySocket>& a, const std::shared_ptr<MemorySocket>& b) {
  if (a->pipe_) return;  // the requests of both have crossed, or one was repeated
  auto ends = pipe(scheduler_, {.latency = latency(a->outside_, b->outside_)},
                   {.latency = latency(b->outside_, a->outside_)});
  a->pipe_ = std::move(ends.a);
  b->pipe_ = std::move(ends.b);
}

io::Task<io::Result<>> MemorySocket::connected() {
  while (dialling()) co_await established_.wait();
  if (error_) co_return tl::unexpected(*error_);
  co_return io::Result<>{};
}

void MemorySocket::reset(std::error_code why) {
  if (open_) {
    pipe_->reset(why);
  } else if (!error_) {
    error_ = why;
    if (pipe_) pipe_->reset(why);
    established_.notify_all();
  }
}

void MemorySocket::establish() {
  if (!dialling()) return;
  open_ = true;
  established_.notify_all();
  if (const auto callback = std::exchange(on_established_, nullptr)) callback();
}

class MemoryHost::Listener final : public io::Listener {
 public:
  Listener(MemoryHost& host, io::Endpoint local) : host_(host), local_(local), arrived_(host.scheduler()) {
    host_.listeners_[local.port] = this;
  }
  ~Listener() override { Listener::close(); }

  io::Task<io::Result<std::shared_ptr<io::StreamSocket>>> accept() override {
    while (!closed_ && waiting_.empty()) co_await arrived_.wait();
    if (closed_) co_return io::fail(std::errc::operation_canceled);
    auto socket = std::move(waiting_.front());
    waiting_.pop_front();
    co_return socket;
  }
  io::Endpoint local() const override { return local_; }
  void close() override {
    if (std::exchange(closed_, true)) return;
    host_.listeners_.erase(local_.port);
    arrived_.notify_all();
  }
  void arrive(std::shared_ptr<io::StreamSocket> socket) {
    waiting_.push_back(std::move(socket));
    arrived_.notify_all();
  }

 private:
  MemoryHost& host_;
  io::Endpoint local_;
  io::Signal arrived_;
  std::deque<std::shared_ptr<io::StreamSocket>> waiting_;
  bool closed_ = false;
};

io::Random MemoryHost::random(std::string_view purpose) {
  return io::Random(20220701).derive(outside_.to_string()).derive(purpose);
}

bool MemoryHost::lets_in(const Syn& syn) const { return !firewall_ || sent_.contains({syn.to, syn.from}); }

bool MemoryHost::lets_in_datagram(const io::Endpoint& from, std::uint16_t port) const {
  return !firewall_ || sent_datagrams_.contains({{outside_, port}, from});
}

std::size_t MemoryHost::open_sockets() const {
  return static_cast<std::size_t>(std::ranges::count_if(sockets_, [](const auto& entry) {
    const auto socket = entry.second.lock();
    return socket && !socket->ended();
  }));
}

std::shared_ptr<MemorySocket> MemoryHost::socket_of(const Tuple& tuple) const {
  const auto found = sockets_.find(tuple);
  auto socket = found == sockets_.end() ? nullptr : found->second.lock();
  return socket && !socket->ended() ? socket : nullptr;
}

std::shared_ptr<MemorySocket> MemoryHost::add_socket(std::uint16_t port, const io::Endpoint& remote) {
  const io::Endpoint outside{outside_, port};
  auto socket = std::make_shared<MemorySocket>(internet_, io::Endpoint{address_, port}, outside, remote);
  sockets_[{outside, remote}] = socket;
  return socket;
}

/// Our own dial to where the request comes from, or a new socket of the listener; null when there is neither.
std::shared_ptr<MemorySocket> MemoryHost::peer_for(const Syn& syn) {
  if (auto dialled = socket_of({syn.to, syn.from})) return dialled;
  const auto port = syn.to.port;
  if (!listeners_.contains(port)) return nullptr;
  auto socket = add_socket(port, syn.from);
  socket->on_established_ = [this, port, weak = std::weak_ptr(socket)] {
    const auto listener = listeners_.find(port);
    if (listener != listeners_.end()) listener->second->arrive(weak.lock());
  };
  return socket;
}

io::Result<std::unique_ptr<io::Listener>> MemoryHost::listen(const io::Endpoint& local) {
  const auto port = local.port == 0 ? next_port_++ : local.port;
  if (listeners_.contains(port)) return io::fail(std::errc::address_in_use);
  return std::make_unique<Listener>(*this, io::Endpoint{local.address, port});
}

io::Result<std::shared_ptr<io::StreamSocket>> MemoryHost::dial(const io::Endpoint& remote,
                                                               std::optional<std::uint16_t> local_port) {
  const auto port = local_port.value_or(next_port_);
  if (!local_port) ++next_port_;
  if (socket_of({{outside_, port}, remote})) return io::fail(std::errc::address_in_use);
  auto socket = add_socket(port, remote);
  internet_.send(socket, 0);
  return socket;
}

class MemoryHost::Datagrams final : public io::DatagramSocket {
 public:
  Datagrams(MemoryHost& host, io::Endpoint local) : host_(host), local_(local), arrived_(host.scheduler()) {
    host_.datagram_sockets_[local_.port] = this;
  }
  ~Datagrams() override { Datagrams::close(); }

  io::Result<> send_to(io::BytesView payload, const io::Endpoint& to) override {
    if (closed_) return io::fail(std::errc::operation_canceled);
    const io::Endpoint outside{host_.outside_, local_.port};
    host_.sent_datagrams_.insert({outside, to});
    host_.internet_.send_datagram(outside, to, payload);
    return {};
  }
  io::Task<io::Result<io::Datagram>> receive() override {
    while (!closed_ && waiting_.empty()) co_await arrived_.wait();
    if (closed_) co_return io::fail(std::errc::operation_canceled);
    auto datagram = std::move(waiting_.front());
    waiting_.pop_front();
    co_return datagram;
  }
  io::Endpoint local() const override { return local_; }
  void close() override {
    if (std::exchange(closed_, true)) return;
    host_.datagram_sockets_.erase(local_.port);
    arrived_.notify_all();
  }
  void arrive(io::Datagram datagram) {
    waiting_.push_back(std::move(datagram));
    arrived_.notify_all();
  }

 private:
  MemoryHost& host_;
  io::Endpoint local_;
  io::Signal arrived_;
  std::deque<io::Datagram> waiting_;
  bool closed_ = false;
};

io::Result<std::unique_ptr<io::DatagramSocket>> MemoryHost::bind(const io::Endpoint& local) {
  const auto port = local.port == 0 ? next_port_++ : local.port;
  if (datagram_sockets_.contains(port)) return io::fail(std::errc::address_in_use);
  return std::make_unique<Datagrams>(*this, io::Endpoint{local.address, port});
}

void MemoryInternet::send_datagram(const io::Endpoint& from, const io::Endpoint& to, io::BytesView payload) {
  const auto at = scheduler_.now() + latency(from, to) + datagram_delay;
  scheduler_.schedule(at, [this, from, to, bytes = io::to_bytes(payload)] {
    const auto* host = host_at(to.address);
    if (host == nullptr || !host->lets_in_datagram(from, to.port)) return;
    const auto socket = host->datagram_sockets_.find(to.port);
    if (socket != host->datagram_sockets_.end()) socket->second->arrive({from, bytes});
  });
}

}  // namespace flaresim::support
