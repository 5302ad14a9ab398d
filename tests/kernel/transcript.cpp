#include "tests/kernel/transcript.h"

#include <fmt/format.h>

#include "tests/kernel/addresses.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::kernel {
namespace {

using nat::test::read16;
using nat::test::read32;

constexpr std::uint8_t icmp = 1, tcp = 6, udp = 17, fragment_header = 44, icmpv6 = 58;

std::string name_of(const std::string& address) {
  static const std::map<std::string, std::string> names{
      {a4, "A"}, {b4, "B"}, {wan4, "GW"},      {r4, "R"},         {s4, "S"},
      {m4, "M"}, {a6, "A"}, {b6, "B"},         {wan6, "GW"},      {r6, "R"},
      {s6, "S"}, {m6, "M"}, {pool4[0], "GW2"}, {pool4[1], "GW3"}, {pool4[2], "GW4"}};
  const auto known = names.find(address);
  return known == names.end() ? address : known->second;
}

std::string flags_of(std::uint8_t flags) {
  constexpr char letters[] = "FSRPAU";
  std::string text;
  for (int bit = 0; bit < 6; ++bit)
    if (flags & 1 << bit) text += letters[bit];
  return text.empty() ? "-" : text;
}

/// The parts of a packet, or of what an ICMP error quotes of one.
struct Layers {
  explicit Layers(const Bytes& packet) : v6(packet.at(0) >> 4 == 6) {
    const auto header = nat::test::read(packet);
    source = header.source.address;
    destination = header.destination.address;
    ttl = header.ttl;
    protocol = header.protocol;
    body = header.transport;
    if (v6 && packet[6] == fragment_header) {
      offset = read16(packet, 42) & 0xfff8;
      more = read16(packet, 42) & 1;
    } else if (!v6) {
      offset = (read16(packet, 6) & 0x1fff) * 8u;
      more = packet[6] & 0x20;
    }
  }
  bool is_fragment() const { return offset > 0 || more; }
  bool has_ports() const { return (protocol == tcp || protocol == udp) && offset == 0 && body.size() >= 8; }
  /// Of which there is enough to check it.
  bool has_checksum() const {
    if (is_fragment() || (is_error() && Layers(Bytes(body.begin() + 8, body.end())).is_fragment()))
      return false;
    return protocol == tcp || protocol == udp || is_icmp();
  }
  bool is_icmp() const { return protocol == icmp || protocol == icmpv6; }
  bool is_echo() const {
    return is_icmp() && body.size() >= 8 &&
           (v6 ? body[0] == 128 || body[0] == 129 : body[0] == 8 || body[0] == 0);
  }
  bool is_error() const {
    return is_icmp() && body.size() >= 8 &&
           (v6 ? body[0] < 128 : body[0] == 3 || body[0] == 11 || body[0] == 12);
  }

  bool v6;
  std::string source, destination;
  std::uint8_t ttl = 0, protocol = 0;
  std::size_t offset = 0;
  bool more = false;
  Bytes body;
};

}  // namespace

std::ostream& operator<<(std::ostream& out, const Observation& observation) {
  return out << observation.sent << "\n      -> " << observation.seen;
}

/// Puts one packet in words.
class Transcript::Description {
 public:
  Description(Transcript& transcript, bool from_router)
      : transcript_(transcript), from_router_(from_router) {}

  std::string of(const Bytes& packet) {
    const Layers layers(packet);
    std::string text = layers.is_error() ? error(layers) : flow(layers);
    if (layers.is_fragment())
      text += fmt::format(" fragment {}+{}{}", layers.offset, layers.body.size(), layers.more ? "…" : "");
    return text + fmt::format(" ttl {}", layers.ttl);
  }

 private:
  std::string error(const Layers& layers) {
    const Bytes about(layers.body.begin() + 8, layers.body.end());
    std::string quotation = Description(transcript_, from_router_).of(about);
    return fmt::format("icmp {}/{} {} > {} about [{}, {} bytes]", layers.body[0], layers.body[1],
                       name_of(layers.source), name_of(layers.destination), quotation, about.size());
  }

  std::string flow(const Layers& layers) {
    const auto from = name_of(layers.source), to = name_of(layers.destination);
    if (layers.is_echo()) {
      const bool request = layers.body[0] == (layers.v6 ? 128 : 8);
      return fmt::format("echo {} {} > {} id {}", request ? "request" : "reply", from, to,
                         transcript_.port(read16(layers.body, 4), from_router_ && request, false));
    }
    if (!layers.has_ports()) return fmt::format("protocol {} {} > {}", layers.protocol, from, to);
    const auto source = port(read16(layers.body, 0), true), destination = port(read16(layers.body, 2), false);
    const auto ends = fmt::format("{}:{} > {}:{}", from, source, to, destination);
    if (layers.protocol == udp)
      return fmt::format("udp {}{}", ends, read16(layers.body, 6) == 0 ? " without checksum" : "");
    if (layers.body.size() < 20) return fmt::format("tcp {} seq {}", ends, read32(layers.body, 4));
    return fmt::format("tcp {} {} seq {} ack {}", ends, flags_of(layers.body[13]), read32(layers.body, 4),
                       read32(layers.body, 8));
  }

  std::string port(std::uint16_t number, bool of_source) {
    return transcript_.port(number, from_router_ && of_source);
  }

  Transcript& transcript_;
  bool from_router_;
};

std::string Transcript::port(std::uint16_t number, bool may_be_new, bool has_range) {
  if (const auto known = made_up_.find(number); known != made_up_.end()) return known->second;
  if (!may_be_new) used_.insert(number);
  if (used_.contains(number)) return std::to_string(number);
  const auto range = has_range ? fmt::format("({})", range_of(number)) : "";
  return made_up_[number] = fmt::format("new{}{}", made_up_.size() + 1, range);
}

std::string Transcript::range_of(std::uint16_t number) const {
  if (range_.last > 0) return number >= range_.first && number <= range_.last ? "in range" : "out of range";
  return number < 512 ? "<512" : number < 1024 ? "<1024" : "≥1024";
}

void Transcript::add(Side from, const Bytes& sent, const std::vector<Emitted>& emitted) {
  const Layers layers(sent);
  if (layers.has_ports()) {
    for (const std::size_t at : {0, 2}) port(read16(layers.body, at), false);
    if (from == Side::outside) called_.insert(read16(layers.body, 2));
  }
  if (layers.is_echo()) port(read16(layers.body, 4), false);
  const auto when = waited_.count() ? fmt::format("at {:.1f} s, ", waited_.count() / 1000.0) : "";
  const auto wire = [](Side side) { return side == Side::inside ? "inside" : "outside"; };

  Observation made{fmt::format("{}from {}: {}", when, wire(from), Description(*this, false).of(sent)), ""};
  for (const auto& [side, packet] : emitted) {
    if (!made.seen.empty()) made.seen += "; ";
    made.seen += fmt::format("{}: {}", wire(side), Description(*this, true).of(packet));
    const Layers out(packet);
    if (out.has_checksum() && !nat::test::checksums_valid(packet)) made.seen += " with a wrong checksum";
    if (out.has_ports() && layers.has_ports() && from == Side::inside && side == Side::outside) {
      const auto port = read16(out.body, 0);
      const bool preserved = port == read16(layers.body, 0);
      // Of a few hundred low ports, the one that is drawn may well be the inside one.
      if (preserved ? random_ && port < 1024 : used_.contains(port) && !called_.contains(port))
        ambiguous_ = true;
    }
  }
  if (made.seen.empty()) made.seen = "nothing";
  observations_.push_back(std::move(made));
}

void Transcript::add_wait(std::chrono::milliseconds time) { waited_ += time; }

void Transcript::add_finding(const std::string& what, const std::string& finding) {
  observations_.push_back({what, finding});
}

}  // namespace flaresim::kernel
