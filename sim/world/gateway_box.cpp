#include "sim/world/gateway_box.h"

#include <stdexcept>

#include "sim/nat/npt66.h"
#include "sim/nat/softwire.h"
#include "sim/nat/translate46.h"

namespace flaresim::world {
namespace {

nat::Address nat_address(const io::IpAddress& address) {
  if (address.is_v6()) return address.to_v6().to_bytes();
  return boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4()).to_bytes();
}

/// A translation that needs no table; null for kinds that have one.
std::unique_ptr<nat::HeaderTranslation> stateless(GatewayKind kind, const AddressPlan::Gateway& addresses,
                                                  const AddressPlan::Gateway* aftr,
                                                  const nat::Translator46::Options& options) {
  constexpr unsigned clat_prefix = 96;  // of which a host has the whole /64
  switch (kind) {
    case GatewayKind::ds_lite_home:
      return std::make_unique<nat::SoftwireB4>(nat_address(*addresses.v6), nat_address(*aftr->v6));
    case GatewayKind::clat: {
      const auto own = nat::Prefix64::make(nat_address(*addresses.v6), clat_prefix).value();
      const nat::Clat::Config config{.own = own,
                                     .provider = nat::Prefix64::well_known(),
                                     .local_v4 = nat_address(AddressPlan::clat_host()),
                                     .local_bits = 32};
      return std::make_unique<nat::Clat>(config, options);
    }
    case GatewayKind::nptv6:
      return std::make_unique<nat::Npt66>(nat::Npt66::make(nat_address(*addresses.inside_v6),
                                                           nat_address(*addresses.v6), AddressPlan::npt_bits)
                                              .value());
    case GatewayKind::nat:
    case GatewayKind::aftr:
    case GatewayKind::nat64:
      return nullptr;
  }
  return nullptr;
}

std::unique_ptr<nat::HeaderTranslation> edge(GatewayKind kind, const AddressPlan::Gateway& addresses,
                                             const nat::Translator46::Options& options) {
  if (kind == GatewayKind::aftr) return std::make_unique<nat::AftrEdge>(nat_address(*addresses.v6));
  if (kind == GatewayKind::nat64)
    return std::make_unique<nat::Nat64Edge>(nat::Prefix64::well_known(), options);
  return nullptr;
}

}  // namespace

GatewayBox::GatewayBox(engine::Simulation& simulation, GatewayKind kind, const nat::Behaviour& behaviour,
                       const AddressPlan::Gateway& addresses, const AddressPlan::Gateway* aftr,
                       const io::Random& random) {
  const nat::Translator46::Options options{.seals_udp = simulation.checksums()};
  if (auto translation = stateless(kind, addresses, aftr, options)) {
    stateless_ = std::make_unique<net::StatelessBox>(simulation, std::move(translation), random);
  } else {
    nat_ = std::make_unique<net::NatBox>(simulation, behaviour, addresses.v4, random,
                                         edge(kind, addresses, options));
  }
}

net::Port& GatewayBox::outside() { return nat_ ? nat_->outside() : stateless_->outside(); }

io::Result<> GatewayBox::attach(net::Port& port, const std::vector<io::IpAddress>& addresses,
                                const net::LinkProfile& link) {
  return nat_ ? nat_->attach(port, addresses, link) : stateless_->attach(port, addresses, link);
}

io::Result<> GatewayBox::readdress(const net::Port& port, const std::vector<io::IpAddress>& addresses) {
  return nat_ ? nat_->readdress(port, addresses) : stateless_->readdress(port, addresses);
}

void GatewayBox::on_verdict(std::function<void(const net::NatEvent&)> observer) {
  nat_ ? nat_->on_verdict(std::move(observer)) : stateless_->on_verdict(std::move(observer));
}

void GatewayBox::capture_inside(net::Capture* capture) {
  nat_ ? nat_->capture_inside(capture) : stateless_->capture_inside(capture);
}
void GatewayBox::capture_outside(net::Capture* capture) {
  nat_ ? nat_->capture_outside(capture) : stateless_->capture_outside(capture);
}

}  // namespace flaresim::world
