#include "sim/os/real_network.h"

#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/multicast.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "protocols/io/signal.h"
#include "sim/os/socket_error.h"
#include "sim/os/tcp_socket.h"

namespace flaresim::os {
namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using Error = boost::system::error_code;

namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

template <class Kernel>
io::Endpoint from_kernel(const Kernel& endpoint) {
  return {endpoint.address(), endpoint.port()};
}

template <class Protocol>
typename Protocol::endpoint to_kernel(const io::Endpoint& endpoint) {
  return {endpoint.address, endpoint.port};
}

/// Runs the steps until one fails.
template <class... Steps>
Error first_error(Steps&&... steps) {
  Error error;
  (void)((steps(error), !error) && ...);
  return error;
}

template <class Socket>
void open(Socket& socket, const typename Socket::protocol_type& protocol, Error& error) {
  socket.open(protocol, error);
  if (!error && protocol.family() == AF_INET6) socket.set_option(asio::ip::v6_only(true), error);
  if (!error) socket.non_blocking(true, error);
}

class TcpListener final : public io::Listener {
 public:
  TcpListener(io::Scheduler& scheduler, tcp::acceptor acceptor)
      : state_(std::make_shared<State>(scheduler, std::move(acceptor))) {}
  ~TcpListener() override { TcpListener::close(); }

  io::Task<io::Result<std::shared_ptr<io::StreamSocket>>> accept() override { return accept_from(state_); }
  io::Endpoint local() const override { return state_->local; }
  void close() override {
    Error ignored;
    state_->acceptor.close(ignored);
    state_->closed.notify_all();
  }

 private:
  /// Shared with whoever accepts, so that a listener can be destroyed under it.
  struct State {
    State(io::Scheduler& world, tcp::acceptor open_acceptor)
        : scheduler(world), acceptor(std::move(open_acceptor)), closed(world) {
      Error ignored;
      local = from_kernel(acceptor.local_endpoint(ignored));
    }
    io::Scheduler& scheduler;
    tcp::acceptor acceptor;
    io::Endpoint local;
    io::Signal closed;
  };

  static io::Task<io::Result<std::shared_ptr<io::StreamSocket>>> accept_from(std::shared_ptr<State> state) {
    // The machine may be out of descriptors or memory for a while, which is no reason to stop listening.
    constexpr auto pause = std::chrono::milliseconds(100);
    while (state->acceptor.is_open()) {
      tcp::socket socket(state->acceptor.get_executor());
      tcp::endpoint remote;
      Error error;
      co_await state->acceptor.async_accept(socket, remote, asio::redirect_error(asio::use_awaitable, error));
      if (!state->acceptor.is_open()) break;
      if (!error) socket.non_blocking(true, error);
      if (!error) {
        co_return std::make_shared<TcpSocket>(std::move(socket), from_kernel(remote),
                                              TcpSocket::State::connected);
      }
      co_await state->closed.wait_until(state->scheduler.now() + pause);
    }
    co_return io::fail(std::errc::operation_canceled);
  }

  std::shared_ptr<State> state_;
};

class UdpSocket final : public io::DatagramSocket {
 public:
  explicit UdpSocket(udp::socket socket) : state_(std::make_shared<State>(std::move(socket))) {}
  ~UdpSocket() override { UdpSocket::close(); }

  io::Result<> send_to(io::BytesView payload, const io::Endpoint& to) override {
    Error error;
    state_->socket.send_to(asio::buffer(payload.data(), payload.size()), to_kernel<udp>(to), 0, error);
    if (error) return tl::unexpected(socket_error(error));
    return {};
  }
  io::Task<io::Result<io::Datagram>> receive() override { return receive_from(state_); }
  io::Result<> join(const io::IpAddress& group) override {
    if (!group.is_multicast()) return io::fail(std::errc::invalid_argument);
    Error error;
    state_->socket.set_option(asio::ip::multicast::join_group(group), error);
    if (error) return tl::unexpected(socket_error(error));
    return {};
  }
  io::Endpoint local() const override { return state_->local; }
  void close() override {
    Error ignored;
    state_->socket.close(ignored);
  }

 private:
  static constexpr std::size_t max_payload_bytes = 65'535;

  struct State {
    explicit State(udp::socket open_socket) : socket(std::move(open_socket)), buffer(max_payload_bytes) {
      Error ignored;
      local = from_kernel(socket.local_endpoint(ignored));
    }
    udp::socket socket;
    io::Endpoint local;
    io::Bytes buffer;
  };

  static io::Task<io::Result<io::Datagram>> receive_from(std::shared_ptr<State> state) {
    if (!state->socket.is_open()) co_return io::fail(std::errc::operation_canceled);
    udp::endpoint from;
    Error error;
    const auto count = co_await state->socket.async_receive_from(
        asio::buffer(state->buffer), from, asio::redirect_error(asio::use_awaitable, error));
    if (!state->socket.is_open()) co_return io::fail(std::errc::operation_canceled);
    if (error) co_return tl::unexpected(socket_error(error));
    const auto payload = io::BytesView(state->buffer).first(count);
    co_return io::Datagram{from_kernel(from), io::to_bytes(payload)};
  }

  std::shared_ptr<State> state_;
};

std::optional<io::IpAddress> address_of(const ifaddrs& interface) {
  if (interface.ifa_addr == nullptr || (interface.ifa_flags & IFF_UP) == 0) return {};
  if (interface.ifa_addr->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, interface.ifa_addr, sizeof v4);
    return asio::ip::address_v4(ntohl(v4.sin_addr.s_addr));
  }
  if (interface.ifa_addr->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, interface.ifa_addr, sizeof v6);
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    const asio::ip::address_v6 address(bytes);
    if (!address.is_link_local()) return address;
  }
  return {};
}

}  // namespace

RealNetwork::RealNetwork(RealScheduler& scheduler, io::Random random)
    : scheduler_(scheduler), random_(std::move(random)) {}

std::vector<io::IpAddress> RealNetwork::addresses() const {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
  std::vector<io::IpAddress> found;
  for (const auto* interface = first; interface != nullptr; interface = interface->ifa_next) {
    const auto address = address_of(*interface);
    if (address && std::find(found.begin(), found.end(), *address) == found.end()) found.push_back(*address);
  }
  std::stable_partition(found.begin(), found.end(),
                        [](const io::IpAddress& address) { return !address.is_loopback(); });
  return found;
}

/// proc(5), /proc/net/route: destination and gateway in hexadecimal, as the kernel holds them in memory.
std::optional<io::IpAddress> RealNetwork::default_gateway() const {
  std::ifstream routes("/proc/net/route");
  std::string line;
  std::getline(routes, line);
  while (std::getline(routes, line)) {
    std::istringstream fields(line);
    std::string interface;
    std::uint32_t destination = 0;
    std::uint32_t gateway = 0;
    if (fields >> interface >> std::hex >> destination >> gateway && destination == 0 && gateway != 0)
      return asio::ip::address_v4(ntohl(gateway));
  }
  return {};
}

io::Result<std::unique_ptr<io::Listener>> RealNetwork::listen(const io::Endpoint& local) {
  const auto endpoint = to_kernel<tcp>(local);
  tcp::acceptor acceptor(scheduler_.context());
  // SO_REUSEPORT lets our dials leave from this port. It is set after listening has begun, because a listener
  // that has it from the start would share the port with another program's instead of failing with "address
  // in use".
  const auto error =
      first_error([&](Error& e) { open(acceptor, endpoint.protocol(), e); },
                  [&](Error& e) { acceptor.set_option(tcp::acceptor::reuse_address(true), e); },
                  [&](Error& e) { acceptor.bind(endpoint, e); },
                  [&](Error& e) { acceptor.listen(asio::socket_base::max_listen_connections, e); },
                  [&](Error& e) { acceptor.set_option(ReusePort(true), e); });
  if (error) return tl::unexpected(socket_error(error));
  return std::make_unique<TcpListener>(scheduler_, std::move(acceptor));
}

io::Result<std::shared_ptr<io::StreamSocket>> RealNetwork::dial(const io::Endpoint& remote,
                                                                std::optional<std::uint16_t> local_port) {
  const auto endpoint = to_kernel<tcp>(remote);
  tcp::socket socket(scheduler_.context());
  auto error = first_error([&](Error& e) { open(socket, endpoint.protocol(), e); });
  if (!error && local_port) {
    error = first_error([&](Error& e) { socket.set_option(tcp::socket::reuse_address(true), e); },
                        [&](Error& e) { socket.set_option(ReusePort(true), e); },
                        [&](Error& e) {
                          socket.bind({endpoint.protocol(), *local_port}, e);
                        });
  }
  if (error) return tl::unexpected(socket_error(error));

  // Not asio's connect, which would tell a taken 4-tuple only later.
  const int failure = ::connect(socket.native_handle(), endpoint.data(), endpoint.size()) == 0 ? 0 : errno;
  if (local_port && failure == EADDRNOTAVAIL) return io::fail(std::errc::address_in_use);
  auto dialled = std::make_shared<TcpSocket>(std::move(socket), remote, TcpSocket::State::connecting);
  if (failure != 0 && failure != EINPROGRESS)
    dialled->reset(connect_error({failure, boost::system::system_category()}));
  return dialled;
}

io::Result<std::unique_ptr<io::DatagramSocket>> RealNetwork::bind(const io::Endpoint& local) {
  const auto endpoint = to_kernel<udp>(local);
  udp::socket socket(scheduler_.context());
  const auto error = first_error([&](Error& e) { open(socket, endpoint.protocol(), e); },
                                 [&](Error& e) { socket.bind(endpoint, e); });
  if (error) return tl::unexpected(socket_error(error));
  return std::make_unique<UdpSocket>(std::move(socket));
}

}  // namespace flaresim::os
