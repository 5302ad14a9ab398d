#pragma once

#include <ns3/ptr.h>

namespace ns3 {
class Packet;
}

namespace flaresim::net {

/// An IPv4 or IPv6 packet, from its IP header on. Whoever is handed one owns it and may rewrite it.
using PacketPtr = ns3::Ptr<ns3::Packet>;

class Attachment;

/// A plug: the side of a host or of a router that faces a network.
class Port {
 public:
  Port() = default;
  virtual ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  /// A packet arrives from the network that this port is plugged into.
  virtual void deliver(PacketPtr packet) = 0;
  /// Hands a packet to that network; lost when the port is not plugged in.
  void send(PacketPtr packet);
  bool plugged() const { return attachment_ != nullptr; }

 private:
  friend class Attachment;
  Attachment* attachment_ = nullptr;
};

/// A socket in the wall: where a network (the core, or the inside of a NAT) holds one port. Either side may
/// be destroyed first; packets that are on their way to a port that has gone are lost.
class Attachment {
 public:
  explicit Attachment(Port& port);
  virtual ~Attachment();
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  virtual void send(PacketPtr packet) = 0;

 protected:
  void deliver(PacketPtr packet);

 private:
  friend class Port;
  Port* port_;
};

}  // namespace flaresim::net
