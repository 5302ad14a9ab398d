#pragma once

#include <memory>

#include "protocols/io/network.h"
#include "sim/gateway/port_map.h"

namespace flaresim::gateway {

/// The services of one gateway on its inside: NAT-PMP, PCP and UPnP IGD as its profile says.
///
/// 1. They listen on `inside`, an address of `network`: NAT-PMP and PCP on UDP port 5351, UPnP on UDP port 1900
/// (multicast) and TCP port 5000.
/// 2. A gateway without PCP answers PCP requests as a NAT-PMP server does, and the other way round; that is how clients
/// find out. RFC 6887 §9, RFC 6886 §3.5.
/// 3. After `restart` every lease is gone, and the gateway announces it: NAT-PMP and PCP ten times, at intervals that
/// begin with 250 ms and double (RFC 6886 §3.2.1); UPnP by `ssdp:byebye` and `ssdp:alive`.
/// 4. A message that is malformed is answered with the error its protocol has for it, or dropped. An HTTP request may
/// have 16 KiB and 10 s.
class Services {
 public:
  /// `map` outlives it. Fails with what the network fails with when a port is taken.
  static io::Result<std::unique_ptr<Services>> start(io::Network& network, const io::IpAddress& inside,
                                                     PortMap& map);
  ~Services();
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  void restart();
  /// See `PortMap::reopen`.
  void reopen();

 private:
  class Running;
  explicit Services(std::shared_ptr<Running> running);
  std::shared_ptr<Running> running_;
};

}  // namespace flaresim::gateway
