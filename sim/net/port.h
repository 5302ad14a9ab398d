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
  /// Hands a packet to that network; lost when the port is not plugged in, or its link is down.
  void send(PacketPtr packet);
  bool plugged() const { return attachment_ != nullptr; }
  /// Takes the port off its network, which forgets the addresses that it was attached with. Plugging it in
  /// elsewhere does the same.
  void unplug();

  /// While its link is down, whatever the port sends and whatever reaches it is lost without a word, as when
  /// a cable is pulled out of a switch on the way: its network keeps its place. Up at first.
  void set_link(bool up) { link_up_ = up; }
  bool link_up() const { return link_up_; }

 private:
  friend class Attachment;
  Attachment* attachment_ = nullptr;
  bool link_up_ = true;
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
  bool holds(const Port& port) const { return port_ == &port; }

 protected:
  void deliver(PacketPtr packet);
  /// The port has left for another network, or for none: what is routed here is nobody's from now on.
  virtual void unplugged() {}

 private:
  friend class Port;
  Port* port_;
};

}  // namespace flaresim::net
