#include "sim/gateway/igd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <pugixml.hpp>

#include "sim/gateway/wire.h"

namespace flaresim::gateway {
namespace {

/// UPnP Device Architecture 1.1 §3.2.2 and WANIPConnection:2 §2.6.
enum class ActionError {
  invalid_action = 401,
  invalid_arguments = 402,
  action_failed = 501,
  not_authorized = 606,
  index_invalid = 713,
  no_such_entry = 714,
  wildcard_not_permitted = 716,
  conflict = 718,
  only_permanent_leases = 725,
  no_port_maps_available = 728,
};

std::string_view to_string(ActionError error) {
  switch (error) {
    case ActionError::invalid_action:
      return "Invalid Action";
    case ActionError::invalid_arguments:
      return "Invalid Args";
    case ActionError::action_failed:
      return "Action Failed";
    case ActionError::not_authorized:
      return "Action not authorized";
    case ActionError::index_invalid:
      return "SpecifiedArrayIndexInvalid";
    case ActionError::no_such_entry:
      return "NoSuchEntryInArray";
    case ActionError::wildcard_not_permitted:
      return "WildCardNotPermittedInExtPort";
    case ActionError::conflict:
      return "ConflictInMappingEntry";
    case ActionError::only_permanent_leases:
      return "OnlyPermanentLeasesSupported";
    case ActionError::no_port_maps_available:
      return "NoPortMapsAvailable";
  }
  return "";
}

ActionError error_of(const std::error_code& error) {
  if (error == MapError::conflict) return ActionError::conflict;
  if (error == MapError::no_port || error == MapError::quota) return ActionError::no_port_maps_available;
  return ActionError::not_authorized;
}

constexpr std::string_view device_prefix = "urn:schemas-upnp-org:device:";
constexpr std::string_view service_prefix = "urn:schemas-upnp-org:service:";
constexpr std::string_view envelope_open =
    "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
    "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>";
constexpr std::string_view envelope_close = "</s:Body></s:Envelope>\r\n";

HttpResponse fault(ActionError error) {
  return {.status = 500,
          .body = fmt::format(
              "{}<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
              "<UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{}</errorCode>"
              "<errorDescription>{}</errorDescription></UPnPError></detail></s:Fault>{}",
              envelope_open, static_cast<int>(error), to_string(error), envelope_close)};
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

struct Value {
  std::string_view name;
  std::string value;
};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char c, unsigned char d) { return std::tolower(c) == std::tolower(d); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

/// The value of a header of an SSDP datagram; empty when it is not there.
std::string_view header_of(std::string_view datagram, std::string_view name) {
  for (std::size_t at = 0; at < datagram.size();) {
    const std::size_t end = std::min(datagram.find('\n', at), datagram.size());
    const std::string_view line = datagram.substr(at, end - at);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && equal_ignoring_case(trimmed(line.substr(0, colon)), name))
      return trimmed(line.substr(colon + 1));
    at = end + 1;
  }
  return {};
}

std::string_view local_name(std::string_view qualified) {
  return qualified.substr(qualified.find(':') == std::string_view::npos ? 0 : qualified.find(':') + 1);
}

}  // namespace

/// The arguments of one action call.
struct Igd::Arguments {
  std::string service;  ///< its type, `urn:…:WANIPConnection:1`
  std::string action;
  std::map<std::string, std::string, std::less<>> values;

  /// SOAP in HTTP, UPnP Device Architecture 1.1 §3.2.1. The header names the action, the body carries its arguments.
  static std::optional<Arguments> read(const HttpRequest& request) {
    Arguments arguments;
    std::string_view header = trimmed(request.soap_action);
    if (header.size() >= 2 && header.front() == '"' && header.back() == '"')
      header = header.substr(1, header.size() - 2);
    const std::size_t hash = header.find('#');
    if (hash == std::string_view::npos) return {};
    arguments.service = header.substr(0, hash);
    arguments.action = header.substr(hash + 1);
    pugi::xml_document document;
    if (!document.load_buffer(request.body.data(), request.body.size())) return {};
    const auto call = document.document_element().first_child().first_child();
    if (local_name(call.name()) != arguments.action) return {};
    for (const auto& argument : call.children()) arguments.values[argument.name()] = argument.text().get();
    return arguments;
  }

  std::optional<std::uint32_t> number(std::string_view name) const {
    const auto value = values.find(name);
    if (value == values.end()) return {};
    std::uint32_t result = 0;
    const char* const end = value->second.data() + value->second.size();
    const auto [rest, error] = std::from_chars(value->second.data(), end, result);
    if (error != std::errc() || rest != end) return {};
    return result;
  }

  std::optional<std::uint16_t> port(std::string_view name) const {
    const auto value = number(name);
    if (!value || *value > 65535) return {};
    return static_cast<std::uint16_t>(*value);
  }

  std::optional<Transport> transport() const {
    const auto value = values.find("NewProtocol");
    if (value == values.end()) return {};
    if (value->second == "UDP") return Transport::udp;
    if (value->second == "TCP") return Transport::tcp;
    return {};
  }

  std::string_view text(std::string_view name) const {
    const auto value = values.find(name);
    return value == values.end() ? std::string_view() : std::string_view(value->second);
  }

  HttpResponse success(std::initializer_list<Value> results) const {
    std::string body = fmt::format("{}<u:{}Response xmlns:u=\"{}\">", envelope_open, action, service);
    for (const auto& [name, value] : results) body += fmt::format("<{0}>{1}</{0}>", name, escaped(value));
    return {.body = body + fmt::format("</u:{}Response>{}", action, envelope_close)};
  }

  /// The mapping that AddPortMapping and AddAnyPortMapping ask for; WANIPConnection:2 §2.5.16 and §2.5.18.
  std::optional<MapRequest> mapping() const {
    const auto wanted = port("NewExternalPort");
    const auto inside_port = port("NewInternalPort");
    const auto over = transport();
    const auto lease = number("NewLeaseDuration");
    boost::system::error_code bad;
    const auto client = boost::asio::ip::make_address_v4(std::string(text("NewInternalClient")), bad);
    if (!wanted || !inside_port || !over || !lease || bad || *inside_port == 0) return {};
    MapRequest request;
    request.transport = *over;
    request.inside = {client, *inside_port};
    request.outside_port = *wanted;
    request.description = text("NewPortMappingDescription");
    if (*lease != 0) request.lease = std::chrono::seconds(*lease);
    return request;
  }
};

Igd::Igd(PortMap& map, std::string location, std::string uuid)
    : map_(map), location_(std::move(location)), uuid_(std::move(uuid)) {}

std::string Igd::connection_type() const {
  return fmt::format("{}WANIPConnection:{}", service_prefix, map_.profile().igd);
}

// Discovery

/// What the device and its parts are searched by. UPnP Device Architecture 1.1 §1.2.2, tables 1-1 to 1-3.
std::vector<std::string> Igd::targets() const {
  std::vector<std::string> all{"upnp:rootdevice", uuid_};
  for (int version = 1; version <= map_.profile().igd; ++version) {
    for (const auto device : {"InternetGatewayDevice", "WANDevice", "WANConnectionDevice"})
      all.push_back(fmt::format("{}{}:{}", device_prefix, device, version));
    all.push_back(fmt::format("{}WANIPConnection:{}", service_prefix, version));
  }
  all.push_back(fmt::format("{}WANCommonInterfaceConfig:1", service_prefix));
  return all;
}

std::vector<std::string> Igd::answer_search(std::string_view datagram) const {
  if (!datagram.starts_with("M-SEARCH * HTTP/1.1") || header_of(datagram, "MAN") != "\"ssdp:discover\"")
    return {};
  const std::string_view sought = header_of(datagram, "ST");
  std::vector<std::string> answers;
  for (const auto& target : targets())
    if (sought == "ssdp:all" || sought == target)
      answers.push_back(
          fmt::format("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\nLOCATION: {}\r\n"
                      "SERVER: Linux/6 UPnP/1.1 flaresim/1\r\nST: {}\r\nUSN: {}\r\n\r\n",
                      location_, target, target == uuid_ ? uuid_ : uuid_ + "::" + target));
  return answers;
}

std::vector<std::string> Igd::notices(bool alive) const {
  std::vector<std::string> all;
  for (const auto& target : targets()) {
    std::string notice = fmt::format(
        "NOTIFY * HTTP/1.1\r\nHOST: {}:{}\r\nNT: {}\r\nNTS: ssdp:{}\r\nUSN: {}\r\n", ssdp_group, ssdp_port,
        target, alive ? "alive" : "byebye", target == uuid_ ? uuid_ : uuid_ + "::" + target);
    if (alive)
      notice += fmt::format(
          "CACHE-CONTROL: max-age=1800\r\nLOCATION: {}\r\nSERVER: Linux/6 UPnP/1.1 flaresim/1\r\n",
          location_);
    all.push_back(notice + "\r\n");
  }
  return all;
}

// Description

std::string Igd::description() const {
  const int version = map_.profile().igd;
  const auto service = [](std::string_view type, std::string_view id, std::string_view path) {
    return fmt::format(
        "<service><serviceType>{0}{1}</serviceType><serviceId>urn:upnp-org:serviceId:{2}</serviceId>"
        "<controlURL>/ctl/{3}</controlURL><eventSubURL>/evt/{3}</eventSubURL><SCPDURL>/{3}.xml</SCPDURL>"
        "</service>",
        service_prefix, type, id, path);
  };
  const auto device = [&](std::string_view type, std::string_view suffix, const std::string& inside) {
    return fmt::format(
        "<device><deviceType>{}{}:{}</deviceType><friendlyName>flaresim gateway</friendlyName>"
        "<manufacturer>flaresim</manufacturer><modelName>gateway</modelName><UDN>{}{}</UDN>{}</device>",
        device_prefix, type, version, uuid_, suffix, inside);
  };
  const std::string connection =
      device("WANConnectionDevice", "-2",
             "<serviceList>" + service(fmt::format("WANIPConnection:{}", version), "WANIPConn1", "IPConn") +
                 "</serviceList>");
  const std::string wan =
      device("WANDevice", "-1",
             "<serviceList>" + service("WANCommonInterfaceConfig:1", "WANCommonIFC1", "CmnIfCfg") +
                 "</serviceList><deviceList>" + connection + "</deviceList>");
  return "<?xml version=\"1.0\"?>\n<root "
         "xmlns=\"urn:schemas-upnp-org:device-1-0\"><specVersion><major>1</major>"
         "<minor>1</minor></specVersion>" +
         device("InternetGatewayDevice", "", "<deviceList>" + wan + "</deviceList>") + "</root>\r\n";
}

// Control

HttpResponse Igd::answer(const HttpRequest& request, const io::IpAddress& from) {
  if (request.method == "GET" && request.target == description_path) return {.body = description()};
  if (request.method == "POST" && (request.target == "/ctl/IPConn" || request.target == "/ctl/CmnIfCfg"))
    return call(request, from);
  return {.status = 404, .content_type = "text/plain", .body = "no such resource\r\n"};
}

HttpResponse Igd::call(const HttpRequest& request, const io::IpAddress& from) {
  const auto arguments = Arguments::read(request);
  if (!arguments) return fault(ActionError::invalid_action);
  const std::string& action = arguments->action;
  if (request.target == "/ctl/CmnIfCfg") {
    if (action != "GetCommonLinkProperties") return fault(ActionError::invalid_action);
    return arguments->success({{"NewWANAccessType", "Ethernet"},
                               {"NewLayer1UpstreamMaxBitRate", "100000000"},
                               {"NewLayer1DownstreamMaxBitRate", "100000000"},
                               {"NewPhysicalLinkStatus", "Up"}});
  }
  if (action == "GetExternalIPAddress")
    return arguments->success({{"NewExternalIPAddress", map_.external_address().to_string()}});
  if (action == "GetStatusInfo")
    return arguments->success({{"NewConnectionStatus", "Connected"},
                               {"NewLastConnectionError", "ERROR_NONE"},
                               {"NewUptime", std::to_string(map_.epoch_seconds())}});
  if (action == "GetNATRSIPStatus")
    return arguments->success({{"NewRSIPAvailable", "0"}, {"NewNATEnabled", "1"}});
  if (action == "GetConnectionTypeInfo")
    return arguments->success(
        {{"NewConnectionType", "IP_Routed"}, {"NewPossibleConnectionTypes", "IP_Routed"}});
  if (action == "AddPortMapping") return add_port_mapping(*arguments, from);
  if (action == "AddAnyPortMapping" && map_.profile().igd >= 2) return add_any_port_mapping(*arguments, from);
  if (action == "DeletePortMapping") return delete_port_mapping(*arguments);
  if (action == "GetSpecificPortMappingEntry") return get_specific_entry(*arguments);
  if (action == "GetGenericPortMappingEntry") return get_generic_entry(*arguments);
  return fault(ActionError::invalid_action);
}

/// Version 2 lets a host map ports to itself only (WANIPConnection:2 §2.3.1 and its access rights); gateways of
/// version 1 do the same today.
HttpResponse Igd::add_port_mapping(const Arguments& arguments, const io::IpAddress& from) {
  auto request = arguments.mapping();
  if (!request) return fault(ActionError::invalid_arguments);
  if (request->outside_port == 0) return fault(ActionError::wildcard_not_permitted);
  if (map_.profile().permanent_only && request->lease) return fault(ActionError::only_permanent_leases);
  if (request->inside.address != from) return fault(ActionError::not_authorized);
  request->exactly = true;
  const auto mapping = map_.add(*request);
  return mapping ? arguments.success({}) : fault(error_of(mapping.error()));
}

HttpResponse Igd::add_any_port_mapping(const Arguments& arguments, const io::IpAddress& from) {
  const auto request = arguments.mapping();
  if (!request) return fault(ActionError::invalid_arguments);
  if (map_.profile().permanent_only && request->lease) return fault(ActionError::only_permanent_leases);
  if (request->inside.address != from) return fault(ActionError::not_authorized);
  const auto mapping = map_.add(*request);
  if (!mapping) return fault(error_of(mapping.error()));
  return arguments.success({{"NewReservedPort", std::to_string(map_.told_port(*mapping))}});
}

HttpResponse Igd::delete_port_mapping(const Arguments& arguments) {
  const auto port = arguments.port("NewExternalPort");
  const auto transport = arguments.transport();
  if (!port || !transport) return fault(ActionError::invalid_arguments);
  if (!map_.find(*transport, *port)) return fault(ActionError::no_such_entry);
  map_.remove(*transport, *port);
  return arguments.success({});
}

HttpResponse Igd::get_specific_entry(const Arguments& arguments) const {
  const auto port = arguments.port("NewExternalPort");
  const auto transport = arguments.transport();
  if (!port || !transport) return fault(ActionError::invalid_arguments);
  const Mapping* mapping = map_.find(*transport, *port);
  if (!mapping) return fault(ActionError::no_such_entry);
  return arguments.success({{"NewInternalPort", std::to_string(mapping->inside.port)},
                            {"NewInternalClient", mapping->inside.address.to_string()},
                            {"NewEnabled", "1"},
                            {"NewPortMappingDescription", mapping->description},
                            {"NewLeaseDuration", std::to_string(seconds_left(map_, *mapping))}});
}

HttpResponse Igd::get_generic_entry(const Arguments& arguments) const {
  const auto index = arguments.number("NewPortMappingIndex");
  if (!index) return fault(ActionError::invalid_arguments);
  const Mapping* mapping = map_.at(*index);
  if (!mapping) return fault(ActionError::index_invalid);
  return arguments.success({{"NewRemoteHost", ""},
                            {"NewExternalPort", std::to_string(mapping->outside_port)},
                            {"NewProtocol", mapping->transport == Transport::udp ? "UDP" : "TCP"},
                            {"NewInternalPort", std::to_string(mapping->inside.port)},
                            {"NewInternalClient", mapping->inside.address.to_string()},
                            {"NewEnabled", "1"},
                            {"NewPortMappingDescription", mapping->description},
                            {"NewLeaseDuration", std::to_string(seconds_left(map_, *mapping))}});
}

}  // namespace flaresim::gateway
