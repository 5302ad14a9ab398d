#include "sim/gateway/services.h"

#include <fmt/format.h>

#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "protocols/io/stream.h"
#include "protocols/io/task.h"
#include "sim/gateway/igd.h"
#include "sim/gateway/nat_pmp.h"
#include "sim/gateway/pcp.h"

namespace flaresim::gateway {
namespace {

namespace http = boost::beast::http;

constexpr std::uint16_t http_port = 5000;
constexpr std::size_t longest_request_bytes = 16 * 1024;
constexpr auto http_limit = std::chrono::seconds(10);
constexpr int announcements = 10;
constexpr auto first_announcement_interval = std::chrono::milliseconds(250);
// Half of the life that the notices promise. UPnP Device Architecture 1.1 §1.2.2.
constexpr auto notice_interval = std::chrono::seconds(900);

/// A version 4 UUID (RFC 9562 §5.4).
std::string make_uuid(io::Random random) {
  std::array<std::uint8_t, 16> bytes;
  random.fill(bytes);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  std::string text = "uuid:";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

io::Task<std::optional<HttpRequest>> read_request(io::StreamSocket& socket) {
  http::request_parser<http::string_body> parser;
  parser.eager(true);
  parser.header_limit(longest_request_bytes);
  parser.body_limit(longest_request_bytes);
  std::string pending;
  std::array<std::uint8_t, 4096> buffer;
  while (!parser.is_done()) {
    const auto count = co_await socket.read(buffer);
    if (!count || *count == 0) co_return std::nullopt;
    pending.append(buffer.begin(), buffer.begin() + *count);
    boost::beast::error_code error;
    const std::size_t used = parser.put(boost::asio::buffer(pending), error);
    if (error && error != http::error::need_more) co_return std::nullopt;
    pending.erase(0, used);
  }
  auto& message = parser.get();
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  request.soap_action = std::string(message["SOAPAction"]);
  request.body = std::move(message.body());
  co_return request;
}

std::string to_text(const HttpResponse& response) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n"
      "Server: Linux/6 UPnP/1.1 flaresim/1\r\nExt:\r\n\r\n{}",
      response.status, std::string(http::obsolete_reason(http::int_to_status(response.status))),
      response.content_type, response.body.size(), response.body);
}

}  // namespace

class Services::Running : public std::enable_shared_from_this<Running> {
 public:
  Running(io::Network& network, io::IpAddress inside, PortMap& map)
      : network_(network),
        scheduler_(network.scheduler()),
        inside_(std::move(inside)),
        map_(map),
        igd_(map, fmt::format("http://{}:{}{}", inside_.to_string(), http_port, Igd::description_path),
             make_uuid(network.random("upnp uuid"))),
        announcement_(scheduler_),
        notice_(scheduler_) {}

  io::Result<> start();
  void stop();
  void restart();
  void reopen() { map_.reopen(); }

 private:
  io::Result<> start_control();
  io::Result<> start_upnp();
  void announce(int left, io::Duration interval);
  void send_notices(bool alive);
  io::Bytes answer(io::BytesView request, const io::Endpoint& from);

  static io::Task<> serve_control(std::shared_ptr<Running> self);
  static io::Task<> serve_search(std::shared_ptr<Running> self);
  static io::Task<> serve_http(std::shared_ptr<Running> self);
  static io::Task<> serve_connection(std::shared_ptr<Running> self, std::shared_ptr<io::StreamSocket> socket);

  io::Network& network_;
  io::Scheduler& scheduler_;
  const io::IpAddress inside_;
  PortMap& map_;
  Igd igd_;
  std::unique_ptr<io::DatagramSocket> control_;
  std::unique_ptr<io::DatagramSocket> ssdp_;
  std::unique_ptr<io::Listener> listener_;
  io::Timer announcement_;
  io::Timer notice_;
};

io::Result<> Services::Running::start() {
  const ServiceProfile& profile = map_.profile();
  if (profile.nat_pmp || profile.pcp)
    if (auto started = start_control(); !started) return started;
  if (profile.igd != 0)
    if (auto started = start_upnp(); !started) return started;
  return {};
}

void Services::Running::stop() {
  announcement_.cancel();
  notice_.cancel();
  if (control_) control_->close();
  if (ssdp_) ssdp_->close();
  if (listener_) listener_->close();
}

void Services::Running::restart() {
  if (ssdp_) send_notices(false);
  map_.restart();
  if (ssdp_) send_notices(true);
  if (control_) announce(announcements, first_announcement_interval);
}

// NAT-PMP and PCP

io::Result<> Services::Running::start_control() {
  auto socket = network_.bind({inside_, control_port});
  if (!socket) return tl::unexpected(socket.error());
  control_ = std::move(*socket);
  io::spawn(scheduler_.executor(), serve_control(shared_from_this()));
  return {};
}

io::Bytes Services::Running::answer(io::BytesView request, const io::Endpoint& from) {
  if (!from.address.is_v4() || request.empty()) return {};
  const ServiceProfile& profile = map_.profile();
  const bool as_nat_pmp = profile.nat_pmp && (request[0] == 0 || !profile.pcp);
  return as_nat_pmp ? answer_nat_pmp(map_, request, from) : answer_pcp(map_, request, from);
}

io::Task<> Services::Running::serve_control(std::shared_ptr<Running> self) {
  while (true) {
    const auto request = co_await self->control_->receive();
    if (!request) co_return;
    const io::Bytes answer = self->answer(request->payload, request->from);
    if (!answer.empty()) (void)self->control_->send_to(answer, request->from);
  }
}

void Services::Running::announce(int left, io::Duration interval) {
  if (left == 0) return;
  const io::Endpoint everybody{boost::asio::ip::make_address_v4("224.0.0.1"), announcement_port};
  if (map_.profile().nat_pmp) (void)control_->send_to(announce_nat_pmp(map_), everybody);
  if (map_.profile().pcp) (void)control_->send_to(announce_pcp(map_), everybody);
  announcement_.arm_after(interval, [this, left, interval] { announce(left - 1, 2 * interval); });
}

// UPnP

io::Result<> Services::Running::start_upnp() {
  auto socket = network_.bind({boost::asio::ip::address_v4::any(), ssdp_port});
  if (!socket) return tl::unexpected(socket.error());
  ssdp_ = std::move(*socket);
  if (auto joined = ssdp_->join(boost::asio::ip::make_address_v4(std::string(ssdp_group))); !joined)
    return joined;
  auto listener = network_.listen({inside_, http_port});
  if (!listener) return tl::unexpected(listener.error());
  listener_ = std::move(*listener);
  io::spawn(scheduler_.executor(), serve_search(shared_from_this()));
  io::spawn(scheduler_.executor(), serve_http(shared_from_this()));
  send_notices(true);
  return {};
}

void Services::Running::send_notices(bool alive) {
  const io::Endpoint group{boost::asio::ip::make_address_v4(std::string(ssdp_group)), ssdp_port};
  for (const auto& notice : igd_.notices(alive)) (void)ssdp_->send_to(io::as_bytes(notice), group);
  notice_.arm_after(notice_interval, [this] { send_notices(true); });
}

io::Task<> Services::Running::serve_search(std::shared_ptr<Running> self) {
  while (true) {
    const auto datagram = co_await self->ssdp_->receive();
    if (!datagram) co_return;
    for (const auto& answer : self->igd_.answer_search(io::as_text(datagram->payload)))
      (void)self->ssdp_->send_to(io::as_bytes(answer), datagram->from);
  }
}

io::Task<> Services::Running::serve_http(std::shared_ptr<Running> self) {
  while (true) {
    auto socket = co_await self->listener_->accept();
    if (!socket) co_return;
    io::spawn(self->scheduler_.executor(), serve_connection(self, std::move(*socket)));
  }
}

io::Task<> Services::Running::serve_connection(std::shared_ptr<Running> self,
                                               std::shared_ptr<io::StreamSocket> socket) {
  const io::Deadline deadline(self->scheduler_, socket, http_limit);
  const auto request = co_await read_request(*socket);
  if (!request) {
    socket->reset(std::errc::bad_message);
    co_return;
  }
  const std::string response = to_text(self->igd_.answer(*request, socket->remote().address));
  if (!co_await socket->write(io::as_bytes(response))) co_return;
  co_await io::end_gracefully(self->scheduler_, socket, http_limit);
}

// The handle

io::Result<std::unique_ptr<Services>> Services::start(io::Network& network, const io::IpAddress& inside,
                                                      PortMap& map) {
  auto running = std::make_shared<Running>(network, inside, map);
  std::unique_ptr<Services> services(new Services(running));
  if (auto started = running->start(); !started) return tl::unexpected(started.error());
  return services;
}

Services::Services(std::shared_ptr<Running> running) : running_(std::move(running)) {}
Services::~Services() { running_->stop(); }

void Services::restart() { running_->restart(); }

void Services::reopen() { running_->reopen(); }

}  // namespace flaresim::gateway
