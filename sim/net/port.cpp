#include "sim/net/port.h"

#include <ns3/packet.h>

namespace flaresim::net {

Port::~Port() {
  if (attachment_ != nullptr) attachment_->port_ = nullptr;
}

void Port::send(PacketPtr packet) {
  if (attachment_ != nullptr) attachment_->send(std::move(packet));
}

Attachment::Attachment(Port& port) : port_(&port) {
  if (port.attachment_ != nullptr) port.attachment_->port_ = nullptr;  // plugged over from another network
  port.attachment_ = this;
}

Attachment::~Attachment() {
  if (port_ != nullptr) port_->attachment_ = nullptr;
}

void Attachment::deliver(PacketPtr packet) {
  if (port_ != nullptr) port_->deliver(std::move(packet));
}

}  // namespace flaresim::net
