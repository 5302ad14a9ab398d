#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/endian/conversion.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "protocols/portmap/gateway.h"
#include "protocols/portmap/inbox.h"

namespace flaresim::portmap {
namespace {

namespace ip = boost::asio::ip;
using boost::endian::load_big_u16;
using boost::endian::load_big_u32;
using boost::endian::store_big_u16;
using boost::endian::store_big_u32;

// RFC 6887 §7 and §11.
constexpr std::uint16_t server_port = 5351;
constexpr std::uint8_t version = 2;
constexpr std::uint8_t answer_bit = 128;
constexpr std::uint8_t opcode_announce = 0, opcode_map = 1;
constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17;
constexpr std::size_t header_bytes = 24;
constexpr std::size_t map_bytes = header_bytes + 36;
constexpr auto call_limit = std::chrono::seconds(3);

using Nonce = std::array<std::uint8_t, 12>;

/// Same opcode, and for a MAP that was granted the same nonce, protocol and internal port (RFC 6887 §11.4). A gateway
/// with NAT-PMP alone answers in version 0 (RFC 6886 §3.5).
bool answers(io::BytesView request, io::BytesView answer) {
  if (answer.size() >= 4 && answer[0] == 0) return true;
  if (answer.size() < header_bytes || answer[0] != version || answer[1] != (request[1] | answer_bit))
    return false;
  if (request[1] != opcode_map || answer[3] != 0) return true;
  return answer.size() >= map_bytes && std::ranges::equal(request.subspan(24, 13), answer.subspan(24, 13)) &&
         std::ranges::equal(request.subspan(40, 2), answer.subspan(40, 2));
}

/// RFC 6887 §7.4.
Error error_of(std::uint8_t code) {
  switch (code) {
    case 1:
    case 4:
    case 5:
    case 9:
      return Error::unsupported;
    case 2:
      return Error::not_authorized;
    case 3:
    case 6:
      return Error::malformed_answer;
    case 7:
      return Error::network_failure;
    case 8:
    case 10:
      return Error::no_resources;
    case 11:
      return Error::conflict;
    case 12:
      return Error::address_mismatch;
    default:
      return Error::failed;
  }
}

void store_address(std::uint8_t* to, const ip::address_v4& address) {
  const auto bytes = ip::make_address_v6(ip::v4_mapped, address).to_bytes();
  std::copy(bytes.begin(), bytes.end(), to);
}

class PcpGateway final : public Gateway {
 public:
  PcpGateway(SessionPtr session, const io::IpAddress& address, const ip::address_v4& own)
      : session_(std::move(session)),
        server_{address, server_port},
        own_(own),
        random_(session_->network().random("pcp nonces")) {}

  std::string name() const override { return "pcp"; }

  io::Task<io::Result<>> announce(io::Duration limit) {
    const auto answer = co_await call(header(opcode_announce, 0), limit);
    if (!answer) co_return tl::unexpected(answer.error());
    co_return io::Result<>();
  }

  /// PCP tells the address only together with a mapping (RFC 6887 §11): the last one's. (§11.6 proposes a short mapping of
  /// the discard port to find it out; miniupnpd 2.3.1 loops forever when its rules deny that port.)
  io::Task<io::Result<io::IpAddress>> external_address() override {
    if (!address_) co_return io::fail(Error::network_failure);
    co_return *address_;
  }

  io::Task<io::Result<Lease>> map(Transport transport, std::uint16_t inside_port, std::uint16_t wanted,
                                  io::Duration lifetime) override {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(lifetime).count();
    const auto answer = co_await call(
        map_request(transport, inside_port, wanted, static_cast<std::uint32_t>(seconds)), call_limit);
    if (!answer) co_return tl::unexpected(answer.error());
    const Lease lease{load_big_u16(&(*answer)[42]), std::chrono::seconds(load_big_u32(&(*answer)[4]))};
    if (!is_granted(lease)) co_return io::fail(Error::malformed_answer);
    ip::address_v6::bytes_type bytes;
    std::copy_n(answer->begin() + 44, bytes.size(), bytes.begin());
    const ip::address_v6 outside(bytes);
    if (outside.is_v4_mapped()) address_ = ip::make_address_v4(ip::v4_mapped, outside);
    co_return lease;
  }

  io::Task<io::Result<>> unmap(Transport transport, std::uint16_t inside_port,
                               std::uint16_t outside_port) override {
    const auto answer = co_await call(map_request(transport, inside_port, outside_port, 0), call_limit);
    nonces_.erase({transport, inside_port});
    if (!answer) co_return tl::unexpected(answer.error());
    co_return io::Result<>();
  }

 private:
  io::Bytes header(std::uint8_t opcode, std::uint32_t seconds) const {
    io::Bytes request(header_bytes);
    request[0] = version;
    request[1] = opcode;
    store_big_u32(&request[4], seconds);
    store_address(&request[8], own_);
    return request;
  }

  io::Bytes map_request(Transport transport, std::uint16_t inside_port, std::uint16_t wanted,
                        std::uint32_t seconds) {
    io::Bytes request = header(opcode_map, seconds);
    request.resize(map_bytes);
    const Nonce& nonce = nonce_for(transport, inside_port);
    std::copy(nonce.begin(), nonce.end(), request.begin() + 24);
    request[36] = transport == Transport::udp ? protocol_udp : protocol_tcp;
    store_big_u16(&request[40], inside_port);
    store_big_u16(&request[42], wanted);
    store_address(&request[44], ip::address_v4::any());
    return request;
  }

  /// The same for as long as the mapping lives: it is what renews and removes it. RFC 6887 §11.2.
  const Nonce& nonce_for(Transport transport, std::uint16_t inside_port) {
    const auto [nonce, is_new] = nonces_.try_emplace({transport, inside_port});
    if (is_new) random_.fill(nonce->second);
    return nonce->second;
  }

  io::Task<io::Result<io::Bytes>> call(io::Bytes request, io::Duration limit) {
    auto answer = co_await ask(session_, std::move(request), server_, limit, answers);
    if (!answer) co_return answer;
    if ((*answer)[0] != version) co_return io::fail(Error::unsupported);
    if (const auto code = (*answer)[3]; code != 0) co_return io::fail(error_of(code));
    co_return answer;
  }

  const SessionPtr session_;
  const io::Endpoint server_;
  const ip::address_v4 own_;
  io::Random random_;
  std::map<std::pair<Transport, std::uint16_t>, Nonce> nonces_;
  std::optional<io::IpAddress> address_;
};

}  // namespace

io::Task<io::Result<GatewayPtr>> find_pcp(SessionPtr session, io::Duration limit) {
  const auto address = session->network().default_gateway();
  if (!address) co_return io::fail(Error::no_default_route);
  const auto own = session->network().addresses();
  const auto v4 =
      std::ranges::find_if(own, [](const auto& one) { return one.is_v4() && !one.is_loopback(); });
  if (v4 == own.end()) co_return io::fail(Error::no_default_route);
  auto gateway = std::make_shared<PcpGateway>(session, *address, v4->to_v4());
  const auto answer = co_await gateway->announce(limit);
  if (!answer) co_return io::fail(Error::no_gateway);
  co_return GatewayPtr(std::move(gateway));
}

}  // namespace flaresim::portmap
