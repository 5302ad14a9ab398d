#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocols/io/network.h"
#include "sim/gateway/port_map.h"

namespace flaresim::gateway {

/// Where UPnP devices are looked for. UPnP Device Architecture 1.1 §1.
inline constexpr std::uint16_t ssdp_port = 1900;
inline constexpr std::string_view ssdp_group = "239.255.255.250";

struct HttpRequest {
  std::string method;
  std::string target;
  std::string soap_action{};  ///< the header of that name
  std::string body{};
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/xml; charset=\"utf-8\"";
  std::string body;
};

/// A UPnP Internet Gateway Device, version 1 or 2, of which hole punching and port mapping see these services:
/// WANIPConnection (1 or 2), and WANCommonInterfaceConfig, without which clients do not believe that it is connected.
/// Messages in, messages out; sockets are the caller's. Sources: UPnP Forum, InternetGatewayDevice:2,
/// WANIPConnection:1 and :2, UPnP Device Architecture 1.1.
class Igd {
 public:
  /// `location` is where the root description is fetched, `uuid` names the device.
  Igd(PortMap& map, std::string location, std::string uuid);

  /// The answers to a search on the LAN, one datagram each; none where it is for somebody else. A device of version 2
  /// answers for version 1 too.
  std::vector<std::string> answer_search(std::string_view datagram) const;
  /// What the device multicasts when it appears, and from time to time; or when it goes.
  std::vector<std::string> notices(bool alive) const;

  /// Path of the root description, `/rootDesc.xml`.
  static constexpr std::string_view description_path = "/rootDesc.xml";
  HttpResponse answer(const HttpRequest& request, const io::IpAddress& from);

 private:
  struct Arguments;
  std::vector<std::string> targets() const;
  std::string description() const;
  HttpResponse call(const HttpRequest& request, const io::IpAddress& from);
  HttpResponse add_port_mapping(const Arguments& arguments, const io::IpAddress& from);
  HttpResponse add_any_port_mapping(const Arguments& arguments, const io::IpAddress& from);
  HttpResponse delete_port_mapping(const Arguments& arguments);
  HttpResponse get_specific_entry(const Arguments& arguments) const;
  HttpResponse get_generic_entry(const Arguments& arguments) const;
  std::string connection_type() const;

  PortMap& map_;
  const std::string location_;
  const std::string uuid_;
};

}  // namespace flaresim::gateway
