#include <boost/endian/conversion.hpp>
#include <chrono>

#include "protocols/portmap/gateway.h"
#include "protocols/portmap/inbox.h"

namespace flaresim::portmap {
namespace {

using boost::endian::load_big_u16;
using boost::endian::load_big_u32;
using boost::endian::store_big_u16;
using boost::endian::store_big_u32;

// RFC 6886 §3.
constexpr std::uint16_t server_port = 5351;
constexpr std::uint8_t answer_bit = 128;
constexpr std::size_t result_bytes = 8;  // up to the epoch: all that an error has
constexpr std::size_t address_answer_bytes = 12;
constexpr std::size_t map_answer_bytes = 16;
// go-nat-pmp gives a request as long; RFC 6886 §3.1 would go on for 64 s.
constexpr auto call_limit = std::chrono::seconds(3);

bool answers(io::BytesView request, io::BytesView answer) {
  return answer.size() >= result_bytes && answer[0] == 0 && answer[1] == (request[1] | answer_bit);
}

/// RFC 6886 §3.5.
Error error_of(std::uint16_t code) {
  switch (code) {
    case 1:
    case 5:
      return Error::unsupported;
    case 2:
      return Error::not_authorized;
    case 3:
      return Error::network_failure;
    case 4:
      return Error::no_resources;
    default:
      return Error::failed;
  }
}

class NatPmpGateway final : public Gateway {
 public:
  NatPmpGateway(SessionPtr session, const io::IpAddress& address)
      : session_(std::move(session)), server_{address, server_port} {}

  std::string name() const override { return "nat-pmp"; }
  io::Task<io::Result<io::IpAddress>> external_address() override { return ask_address(call_limit); }

  io::Task<io::Result<io::IpAddress>> ask_address(io::Duration limit) {
    io::Bytes request{0, 0};
    const auto answer = co_await call(std::move(request), address_answer_bytes, limit);
    if (!answer) co_return tl::unexpected(answer.error());
    co_return boost::asio::ip::address_v4(load_big_u32(&(*answer)[8]));
  }

  io::Task<io::Result<Lease>> map(Transport transport, std::uint16_t inside_port, std::uint16_t wanted,
                                  io::Duration lifetime) override {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(lifetime).count();
    const auto answer =
        co_await call(map_request(transport, inside_port, wanted, static_cast<std::uint32_t>(seconds)),
                      map_answer_bytes, call_limit);
    if (!answer) co_return tl::unexpected(answer.error());
    const Lease lease{load_big_u16(&(*answer)[10]), std::chrono::seconds(load_big_u32(&(*answer)[12]))};
    if (load_big_u16(&(*answer)[8]) != inside_port || !is_granted(lease))
      co_return io::fail(Error::malformed_answer);
    co_return lease;
  }

  io::Task<io::Result<>> unmap(Transport transport, std::uint16_t inside_port, std::uint16_t) override {
    const auto answer =
        co_await call(map_request(transport, inside_port, 0, 0), map_answer_bytes, call_limit);
    if (!answer) co_return tl::unexpected(answer.error());
    co_return io::Result<>();
  }

 private:
  static io::Bytes map_request(Transport transport, std::uint16_t inside_port, std::uint16_t wanted,
                               std::uint32_t seconds) {
    io::Bytes request(12);
    request[1] = transport == Transport::udp ? 1 : 2;
    store_big_u16(&request[4], inside_port);
    store_big_u16(&request[6], wanted);
    store_big_u32(&request[8], seconds);
    return request;
  }

  io::Task<io::Result<io::Bytes>> call(io::Bytes request, std::size_t answer_bytes, io::Duration limit) {
    auto answer = co_await ask(session_, std::move(request), server_, limit, answers);
    if (!answer) co_return answer;
    if (const auto code = load_big_u16(&(*answer)[2]); code != 0) co_return io::fail(error_of(code));
    if (answer->size() < answer_bytes) co_return io::fail(Error::malformed_answer);
    co_return answer;
  }

  const SessionPtr session_;
  const io::Endpoint server_;
};

}  // namespace

io::Task<io::Result<GatewayPtr>> find_nat_pmp(SessionPtr session, io::Duration limit) {
  const auto address = session->network().default_gateway();
  if (!address) co_return io::fail(Error::no_default_route);
  auto gateway = std::make_shared<NatPmpGateway>(session, *address);
  const auto answer = co_await gateway->ask_address(limit);
  if (!answer) co_return io::fail(Error::no_gateway);
  co_return GatewayPtr(std::move(gateway));
}

}  // namespace flaresim::portmap
