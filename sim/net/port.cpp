#include "sim/net/port.h"

#include <ns3/packet.h>

#include <utility>

namespace flaresim::net {

Port::~Port() {
  if (attachment_ != nullptr) attachment_->port_ = nullptr;
}

void Port::send(PacketPtr packet) {
  if (attachment_ != nullptr && link_up_) attachment_->send(std::move(packet));
}

void Port::unplug() {
  auto* const left = std::exchange(attachment_, nullptr);
  if (left == nullptr) return;
  left->port_ = nullptr;
  left->unplugged();
}

Attachment::Attachment(Port& port) : port_(&port) {
  port.unplug();
  port.attachment_ = this;
}

Attachment::~Attachment() {
  if (port_ != nullptr) port_->attachment_ = nullptr;
}

void Attachment::deliver(PacketPtr packet) {
  if (port_ != nullptr && port_->link_up_) port_->deliver(std::move(packet));
}

}  // namespace flaresim::net
