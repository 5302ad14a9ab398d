#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocols/io/network.h"
#include "protocols/io/signal.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/test_scheduler.h"

namespace flaresim::support {

class MemoryHost;
class MemorySocket;

/// A connection request on its way, as it looks between the hosts' gateways.
struct Syn {
  io::TimePoint at;  ///< when it left
  io::Endpoint from;
  io::Endpoint to;
};

enum class Verdict { pass, drop, refuse };

/// Hosts that open connections and send datagrams to one another, each with a delay, in virtual time. Of a connection
/// only the requests are packets: they cross gateways, are lost, retried and refused; what follows is a pipe. Datagrams
/// are lost to firewalls alone.
class MemoryInternet {
 public:
  explicit MemoryInternet(TestScheduler& scheduler) : scheduler_(scheduler) {}

  TestScheduler& scheduler() { return scheduler_; }
  /// With an `outside` address, the host sits behind a gateway of that address which keeps ports.
  MemoryHost& add_host(const std::string& address, const std::string& outside = "");
  /// One way, between outside addresses. Otherwise 10 ms.
  void set_latency(const MemoryHost& from, const MemoryHost& to, io::Duration latency);

  /// Judges each connection request on arrival, before the host's firewall does.
  std::function<Verdict(const Syn&)> rule;
  /// All that were sent, retries included, in the order of leaving.
  std::vector<Syn> syns;
  io::Duration datagram_delay{};  ///< on top of the latency

 private:
  friend class MemoryHost;
  friend class MemorySocket;

  MemoryHost* host_at(const io::IpAddress& outside) const;
  io::Duration latency(const io::Endpoint& from, const io::Endpoint& to) const;
  void send(const std::shared_ptr<MemorySocket>& socket, int tries);
  void arrive(const std::shared_ptr<MemorySocket>& from, const Syn& syn);
  void join(const std::shared_ptr<MemorySocket>& a, const std::shared_ptr<MemorySocket>& b);
  void send_datagram(const io::Endpoint& from, const io::Endpoint& to, io::BytesView payload);

  TestScheduler& scheduler_;
  std::vector<std::unique_ptr<MemoryHost>> hosts_;
  std::map<std::pair<io::IpAddress, io::IpAddress>, io::Duration> latencies_;
};

/// A TCP socket of a host.
class MemorySocket final : public io::StreamSocket {
 public:
  MemorySocket(MemoryInternet& internet, io::Endpoint local, io::Endpoint outside, io::Endpoint remote)
      : established_(internet.scheduler()),
        internet_(internet),
        local_(local),
        outside_(outside),
        remote_(remote) {}

  io::Task<io::Result<>> connected() override;
  io::Endpoint local() const override { return local_; }
  io::Endpoint remote() const override { return remote_; }
  io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override { return pipe_->read(into); }
  io::Task<io::Result<>> write(io::BytesView bytes) override { return pipe_->write(bytes); }
  io::Task<io::Result<>> close_write() override { return pipe_->close_write(); }
  void reset(std::error_code why) override;
  using io::Stream::reset;

  bool dialling() const { return !error_ && !open_; }
  bool ended() const { return error_ || (pipe_ && pipe_->ended()); }

 private:
  friend class MemoryInternet;
  friend class MemoryHost;

  void establish();

  io::Signal established_;
  MemoryInternet& internet_;
  io::Endpoint local_;
  io::Endpoint outside_;  // what others see of `local_`
  io::Endpoint remote_;
  std::shared_ptr<PipeEnd> pipe_;
  std::optional<std::error_code> error_;
  std::function<void()> on_established_;
  bool open_ = false;
};

/// One host: what its protocols run on.
class MemoryHost final : public io::Network {
 public:
  MemoryHost(MemoryInternet& internet, io::IpAddress address, io::IpAddress outside)
      : internet_(internet), address_(address), outside_(outside) {}

  const io::IpAddress& outside() const { return outside_; }
  /// From now on, lets in only requests from where it has sent one to, from the same port; and likewise datagrams.
  void raise_firewall() { firewall_ = true; }
  std::size_t listeners() const { return listeners_.size(); }
  /// Connections that are open or being opened.
  std::size_t open_sockets() const;

  io::Scheduler& scheduler() override { return internet_.scheduler(); }
  bool is_simulated() const override { return true; }
  io::Random random(std::string_view purpose) override;
  std::vector<io::IpAddress> addresses() const override { return std::vector<io::IpAddress>(1, address_); }
  io::Result<std::unique_ptr<io::Listener>> listen(const io::Endpoint& local) override;
  io::Result<std::shared_ptr<io::StreamSocket>> dial(const io::Endpoint& remote,
                                                     std::optional<std::uint16_t> local_port) override;
  io::Result<std::unique_ptr<io::DatagramSocket>> bind(const io::Endpoint& local) override;

 private:
  friend class MemoryInternet;
  class Listener;
  class Datagrams;
  using Tuple = std::pair<io::Endpoint, io::Endpoint>;  // local as others see it, and remote

  bool lets_in(const Syn& syn) const;
  bool lets_in_datagram(const io::Endpoint& from, std::uint16_t port) const;
  std::shared_ptr<MemorySocket> socket_of(const Tuple& tuple) const;
  std::shared_ptr<MemorySocket> peer_for(const Syn& syn);
  std::shared_ptr<MemorySocket> add_socket(std::uint16_t port, const io::Endpoint& remote);

  MemoryInternet& internet_;
  io::IpAddress address_;
  io::IpAddress outside_;
  bool firewall_ = false;
  std::set<Tuple> sent_;
  std::set<Tuple> sent_datagrams_;
  std::map<std::uint16_t, Listener*> listeners_;
  std::map<std::uint16_t, Datagrams*> datagram_sockets_;
  std::map<Tuple, std::weak_ptr<MemorySocket>> sockets_;
  std::uint16_t next_port_ = 40000;
};

}  // namespace flaresim::support
