#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <chrono>
#include <optional>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/portmap/gateway.h"
#include "protocols/portmap/http.h"
#include "protocols/portmap/inbox.h"

namespace flaresim::portmap {
namespace {

// UPnP Device Architecture 1.1 §1.3.2: devices answer within MX seconds; searches are repeated since they may be lost.
constexpr std::uint16_t ssdp_port = 1900;
constexpr auto search_interval = std::chrono::seconds(1);
constexpr std::size_t most_devices = 8;
constexpr std::string_view service_prefix = "urn:schemas-upnp-org:service:";
// In the order in which we would have them.
constexpr std::array<std::string_view, 3> services{"WANIPConnection:2", "WANIPConnection:1",
                                                   "WANPPPConnection:1"};

std::string search_for(std::string_view target) {
  return "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: " +
         std::string(target) + "\r\n\r\n";
}

/// The LOCATION of an answer to a search; it must be on the host that answered, or a datagram could make us fetch from
/// anywhere.
std::optional<Url> location_of(const io::Datagram& datagram) {
  const std::string text = io::as_text(datagram.payload);
  if (!text.starts_with("HTTP/1.1 200")) return {};
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find("\r\n", at), text.size());
    std::string line = text.substr(at, end - at);
    std::ranges::transform(line, line.begin(), [i = 0](unsigned char c) mutable {
      return i++ < 9 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c);
    });
    if (line.starts_with("location:")) {
      const std::size_t value = line.find_first_not_of(" \t", 9);
      const auto url = Url::parse(value == std::string::npos ? "" : line.substr(value));
      if (url && url->host.address == datagram.from.address) return *url;
    }
    at = end + 2;
  }
  return {};
}

std::string_view local_name(std::string_view qualified) {
  const std::size_t colon = qualified.find(':');
  return colon == std::string_view::npos ? qualified : qualified.substr(colon + 1);
}

/// UPnP Device Architecture 1.1 §3.2.2; WANIPConnection:2 §2.6.
Error error_of(int code) {
  switch (code) {
    case 401:
    case 602:
      return Error::unsupported;
    case 606:
      return Error::not_authorized;
    case 718:
      return Error::conflict;
    case 725:
      return Error::only_permanent;
    case 728:
      return Error::no_resources;
    default:
      return Error::failed;
  }
}

struct Argument {
  std::string name;
  std::string value;
};

class IgdGateway final : public Gateway {
 public:
  IgdGateway(SessionPtr session, Url control, std::string service, std::string own)
      : session_(std::move(session)),
        control_(std::move(control)),
        service_(std::move(service)),
        own_(std::move(own)) {}

  std::string name() const override { return service_.ends_with(":2") ? "upnp-igd:2" : "upnp-igd:1"; }

  io::Task<io::Result<io::IpAddress>> external_address() override {
    std::vector<Argument> none;
    auto answer = co_await call("GetExternalIPAddress", std::move(none));
    if (!answer) co_return tl::unexpected(answer.error());
    const std::string text = result_of(*answer, "NewExternalIPAddress");
    if (text.empty()) co_return io::fail(Error::network_failure);
    boost::system::error_code bad;
    const auto address = boost::asio::ip::make_address_v4(text, bad);
    if (bad) co_return io::fail(Error::malformed_answer);
    co_return address;
  }

  /// Version 2 gives any port when the wanted one is taken. A gateway that takes no lease with an end gets one without:
  /// it is renewed all the same, and removed when it is not needed any more.
  io::Task<io::Result<Lease>> map(Transport transport, std::uint16_t inside_port, std::uint16_t wanted,
                                  io::Duration lifetime) override {
    const std::uint16_t port = wanted == 0 ? inside_port : wanted;
    auto lease = co_await add(transport, inside_port, port, permanent_ ? io::Duration::zero() : lifetime);
    if (!lease && lease.error() == Error::only_permanent) {
      permanent_ = true;
      lease = co_await add(transport, inside_port, port, io::Duration::zero());
    }
    co_return lease;
  }

  io::Task<io::Result<>> unmap(Transport transport, std::uint16_t, std::uint16_t outside_port) override {
    std::vector<Argument> arguments{{"NewRemoteHost", ""},
                                    {"NewExternalPort", std::to_string(outside_port)},
                                    {"NewProtocol", transport == Transport::udp ? "UDP" : "TCP"}};
    auto answer = co_await call("DeletePortMapping", std::move(arguments));
    if (!answer) co_return tl::unexpected(answer.error());
    co_return io::Result<>();
  }

  io::Task<io::Result<>> check_connected() {
    std::vector<Argument> none;
    auto answer = co_await call("GetStatusInfo", std::move(none));
    if (!answer) co_return tl::unexpected(answer.error());
    if (result_of(*answer, "NewConnectionStatus") != "Connected") co_return io::fail(Error::network_failure);
    co_return io::Result<>();
  }

 private:
  using Document = std::shared_ptr<pugi::xml_document>;

  static std::string result_of(const Document& answer, const char* name) {
    return answer->document_element().first_child().first_child().child(name).text().get();
  }

  io::Task<io::Result<Lease>> add(Transport transport, std::uint16_t inside_port, std::uint16_t wanted,
                                  io::Duration lifetime) {
    const bool any = service_.ends_with("WANIPConnection:2");
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(lifetime).count();
    std::vector<Argument> arguments{{"NewRemoteHost", ""},
                                    {"NewExternalPort", std::to_string(wanted)},
                                    {"NewProtocol", transport == Transport::udp ? "UDP" : "TCP"},
                                    {"NewInternalPort", std::to_string(inside_port)},
                                    {"NewInternalClient", own_},
                                    {"NewEnabled", "1"},
                                    {"NewPortMappingDescription", "libp2p"},
                                    {"NewLeaseDuration", std::to_string(seconds)}};
    auto answer = co_await call(any ? "AddAnyPortMapping" : "AddPortMapping", std::move(arguments));
    if (!answer) co_return tl::unexpected(answer.error());
    Lease lease{wanted, std::chrono::seconds(seconds)};
    if (any) {
      const std::string text = result_of(*answer, "NewReservedPort");
      const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), lease.outside_port);
      if (error != std::errc() || rest != text.data() + text.size() || lease.outside_port == 0)
        co_return io::fail(Error::malformed_answer);
    }
    co_return lease;
  }

  io::Task<io::Result<Document>> call(std::string action, std::vector<Argument> arguments) {
    HttpRequest request;
    request.method = "POST";
    request.soap_action = service_ + "#" + action;
    request.body =
        "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
        "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:" +
        action + " xmlns:u=\"" + service_ + "\">";
    for (const auto& [name, value] : arguments) request.body += "<" + name + ">" + value + "</" + name + ">";
    request.body += "</u:" + action + "></s:Body></s:Envelope>\r\n";
    auto answer = co_await fetch(session_, control_, std::move(request));
    if (!answer) co_return tl::unexpected(answer.error());
    auto document = std::make_shared<pugi::xml_document>();
    if (!document->load_buffer(answer->body.data(), answer->body.size()))
      co_return io::fail(Error::malformed_answer);
    const auto result = document->document_element().first_child().first_child();
    if (local_name(result.name()) == "Fault") {
      const auto code = result.select_node("detail/*/*[local-name()='errorCode']").node().text().as_int();
      co_return io::fail(error_of(code));
    }
    if (answer->status != 200 || local_name(result.name()) != action + "Response")
      co_return io::fail(Error::malformed_answer);
    co_return document;
  }

  const SessionPtr session_;
  const Url control_;
  const std::string service_;
  const std::string own_;
  bool permanent_ = false;
};

/// The devices that answer a search, in the order of their answers. Searches go on until one has, or the time is over.
io::Task<io::Result<std::vector<Url>>> search(SessionPtr session, io::TimePoint give_up_at) {
  const auto inbox = session->open_inbox();
  if (!inbox) co_return tl::unexpected(inbox.error());
  auto& scheduler = session->scheduler();
  const io::Endpoint group{boost::asio::ip::make_address_v4("239.255.255.250"), ssdp_port};
  std::vector<Url> found;
  while (found.empty() && scheduler.now() < give_up_at) {
    for (const std::string_view target : {"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
                                          "urn:schemas-upnp-org:device:InternetGatewayDevice:1"}) {
      const std::string text = search_for(target);
      if (auto sent = (*inbox)->send_to(io::as_bytes(text), group); !sent)
        co_return tl::unexpected(sent.error());
    }
    const auto again_at = std::min(scheduler.now() + search_interval, give_up_at);
    while (auto datagram = co_await Inbox::next(*inbox, again_at)) {
      const auto url = location_of(*datagram);
      const bool known = url && std::ranges::any_of(found, [&](const Url& other) {
                           return other.host == url->host && other.target == url->target;
                         });
      if (url && !known && found.size() < most_devices) found.push_back(*url);
    }
  }
  co_return found;
}

/// The best connection service that a device describes, and where it is controlled. InternetGatewayDevice:2 §2.
io::Result<GatewayPtr> read_description(const SessionPtr& session, const Url& url,
                                        const std::string& description, const std::string& own) {
  pugi::xml_document document;
  if (!document.load_buffer(description.data(), description.size())) return io::fail(Error::malformed_answer);
  const std::string base = document.document_element().child("URLBase").text().get();
  const auto from = base.empty() ? io::Result<Url>(url) : Url::parse(base);
  if (!from) return tl::unexpected(from.error());
  for (const auto name : services) {
    const std::string type = std::string(service_prefix) + std::string(name);
    const auto service = document.select_node(("//service[serviceType='" + type + "']").c_str()).node();
    if (!service) continue;
    auto control = from->resolve(service.child("controlURL").text().get());
    if (!control || control->host.address != url.host.address) return io::fail(Error::malformed_answer);
    return std::make_shared<IgdGateway>(session, std::move(*control), type, own);
  }
  return io::fail(Error::unsupported);
}

std::string own_address(const SessionPtr& session) {
  for (const auto& address : session->network().addresses())
    if (address.is_v4() && !address.is_loopback()) return address.to_string();
  return {};
}

}  // namespace

io::Task<io::Result<GatewayPtr>> find_igd(SessionPtr session, io::Duration limit) {
  const auto give_up_at = session->scheduler().now() + limit;
  const std::string own = own_address(session);
  const auto found = co_await search(session, give_up_at);
  if (!found) co_return tl::unexpected(found.error());
  for (const Url& url : *found) {
    HttpRequest request;
    const auto description = co_await fetch(session, url, std::move(request));
    if (!description || description->status != 200) continue;
    auto gateway = read_description(session, url, description->body, own);
    if (!gateway) continue;
    const auto connected = co_await static_cast<IgdGateway&>(**gateway).check_connected();
    if (connected) co_return std::move(*gateway);
  }
  co_return io::fail(Error::no_gateway);
}

}  // namespace flaresim::portmap
