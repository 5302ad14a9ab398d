// Raw bytes against all that reads them beside the NAT itself: translators without state (464XLAT, NAT64, NPTv6,
// DS-Lite), the notation, and the services of a gateway (NAT-PMP, PCP, UPnP IGD).

#include <array>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/gateway/igd.h"
#include "sim/gateway/nat_pmp.h"
#include "sim/gateway/pcp.h"
#include "sim/nat/behaviour.h"
#include "sim/nat/npt66.h"
#include "sim/nat/softwire.h"
#include "sim/nat/translate46.h"
#include "tests/fuzz/gateway_input.h"

namespace {

using namespace flaresim;
using fuzz::Bytes, fuzz::Ports, fuzz::messages_of, fuzz::to_input;

nat::Address v6(std::uint8_t net, std::uint8_t host) {
  nat::Address address{0x20, 0x01, 0x0d, 0xb8, net};
  address[15] = host;
  return address;
}

std::unique_ptr<nat::HeaderTranslation> translator(unsigned kind) {
  const auto prefix = nat::Prefix64::well_known();
  nat::Address local{};
  local[10] = local[11] = 0xff, local[12] = 192, local[15] = 4;
  switch (kind) {
    case 0:
      return std::make_unique<nat::Clat>(
          nat::Clat::Config{*nat::Prefix64::make(v6(9, 0), 96), prefix, local, 32},
          nat::Translator46::Options{});
    case 1:
      return std::make_unique<nat::Nat64Edge>(
          prefix, nat::Translator46::Options{.mtu_v6_bytes = 1280, .seals_udp = true});
    case 2:
      return std::make_unique<nat::Npt66>(*nat::Npt66::make(v6(1, 0), v6(2, 0), 48));
    case 3:
      return std::make_unique<nat::SoftwireB4>(v6(1, 1), v6(2, 1));
    default:
      return std::make_unique<nat::AftrEdge>(v6(2, 1));
  }
}

void translate(nat::HeaderTranslation& box, const Bytes& packet, bool outbound) {
  const auto result = outbound ? box.outbound(packet) : box.inbound(packet);
  for (const auto& each : result.packets) (void)(outbound ? box.inbound(each) : box.outbound(each));
}

void read_notation(const Bytes& bytes) {
  const auto behaviour =
      nat::parse_behaviour({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, {});
  if (behaviour && nat::parse_behaviour(nat::to_string(*behaviour), {}).value() != *behaviour) std::abort();
}

/// Time that stands still, and alarms that never ring.
class Stopped final : public io::Scheduler {
 public:
  io::Executor executor() override { throw std::logic_error("no coroutines here"); }
  io::TimePoint now() const override { return {}; }
  io::CalendarTime calendar() const override { return {}; }
  io::TimerId start_timer(io::TimePoint, std::function<void()>) override { return ++armed_; }
  void cancel_timer(io::TimerId) override {}
  std::size_t armed_timers() const override { return 0; }

 private:
  io::TimerId armed_{};
};

void serve(const std::vector<Bytes>& messages, unsigned kind) {
  Stopped clock;
  Ports ports;
  gateway::PortMap map(clock, io::Random(std::uint64_t{1}), ports,
                       {.nat_pmp = true, .pcp = true, .igd = 1 + static_cast<int>(kind % 2)});
  gateway::Igd igd(map, "http://192.168.1.1:5000/rootDesc.xml", "uuid");
  const io::Endpoint from{boost::asio::ip::make_address("192.168.1.10"), 1234};
  for (const Bytes& message : messages) {
    const std::string text(message.begin(), message.end());
    if (kind < 2) (void)gateway::answer_nat_pmp(map, message, from);
    if (kind < 2) (void)gateway::answer_pcp(map, message, from);
    if (kind == 2) (void)igd.answer_search(text);
    if (kind < 3) continue;
    static const std::array<std::string, 7> actions{"AddPortMapping",
                                                    "AddAnyPortMapping",
                                                    "DeletePortMapping",
                                                    "GetSpecificPortMappingEntry",
                                                    "GetGenericPortMappingEntry",
                                                    "GetExternalIPAddress",
                                                    "GetStatusInfo"};
    const auto which = message.empty() ? 0 : message[0] % actions.size();
    const std::string body = message.empty() ? text : text.substr(1);
    for (const char* version : {"1", "2"})
      (void)igd.answer({.method = "POST",
                        .target = "/ctl/IPConn",
                        .soap_action = "\"urn:schemas-upnp-org:service:WANIPConnection:" +
                                       std::string(version) + "#" + actions[which] + "\"",
                        .body = body},
                       from.address);
    (void)igd.answer({.method = "POST", .target = text, .soap_action = text, .body = body}, from.address);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto messages = messages_of({data, size});
  const unsigned kind = data[0] % 10;
  if (kind >= 6) {
    serve(messages, kind - 6);
  } else if (kind == 5) {
    for (const Bytes& message : messages) read_notation(message);
  } else {
    const auto box = translator(kind);
    for (const Bytes& message : messages) translate(*box, message, message.size() % 2 == 0);
  }
  return 0;
}

/// One of each kind, nearly well-formed.
std::vector<Bytes> first_inputs() {
  using namespace std::string_literals;
  const std::string v4 =
      "\x45\0\0\x20\0\1\0\0\x40\x11\0\0\xc0\0\0\x04\x08\x08\x08\x08\x10\0\0\x35\0\x0c\0\0abcd"s;
  const std::string ip6 = "\x60\0\0\0\0\x0c\x11\x40"s +
                          std::string("\x20\x01\x0d\xb8\1\0\0\0\0\0\0\0\0\0\0\1", 16) +
                          "\0\x64\xff\x9b\0\0\0\0\0\0\0\0\x08\x08\x08\x08"s + "\x10\0\0\x35\0\x0c\1\2abcd"s;
  const std::string soap =
      "\0<s:Envelope><s:Body><u:AddPortMapping><NewRemoteHost></NewRemoteHost><NewExternalPort>80</NewExternalPort><NewProtocol>TCP</NewProtocol><NewInternalPort>80</NewInternalPort><NewInternalClient>192.168.1.10</NewInternalClient><NewEnabled>1</NewEnabled><NewPortMappingDescription>x</NewPortMappingDescription><NewLeaseDuration>60</NewLeaseDuration></u:AddPortMapping></s:Body></s:Envelope>"s;
  std::vector<Bytes> all;
  for (std::uint8_t kind = 0; kind < 5; ++kind) all.push_back(to_input(kind, {v4, ip6, v4 + "x", ip6 + "x"}));
  all.push_back(to_input(5, {"EIM/APDF/random,udp_timeout=30s,allowed_ports=80+443",
                             "APDM/ADF,port_range=1-2,ipv6_udp_filtering=EIF"}));
  all.push_back(to_input(6, {"\0\0"s, "\0\1\0\0\0\x50\0\x50\0\0\0\x3c"s,
                             "\2\1\0\0\0\0\0\x3c"s + std::string(16, '\0') + std::string(36, '\1')}));
  all.push_back(
      to_input(8, {"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: "
                   "2\r\nST: ssdp:all\r\n\r\n"}));
  all.push_back(to_input(9, {soap}));
  return all;
}
