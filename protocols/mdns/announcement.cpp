#include "protocols/mdns/announcement.h"

#include <algorithm>
#include <utility>

namespace flaresim::mdns {
namespace {

using multiformats::Multiaddr;

constexpr std::string_view address_key = "dnsaddr=";
constexpr std::size_t peer_name_characters = 32;  // libp2p/specs discovery/mdns.md: at least 32, less than 64
constexpr std::size_t max_string_bytes = 255;

const Name& types_name() {
  static const Name name = Name::from_text("_services._dns-sd._udp.local").value();
  return name;
}

bool asks(const Question& question, const Name& name, RecordType type) {
  return (question.type == type || question.type == RecordType::any) && question.name == name;
}

Text text_of(const swarm::AddressInfo& self) {
  Text text;
  std::size_t bytes = 0;
  for (const auto& address : self.addresses) {
    auto one = std::string(address_key) + address.with_peer(self.peer).to_string();
    if (one.size() > max_string_bytes || bytes + 1 + one.size() > Announcer::max_text_bytes) continue;
    bytes += 1 + one.size();
    text.push_back(std::move(one));
  }
  return text;
}

void add_address(std::vector<swarm::AddressInfo>& peers, std::string_view said) {
  if (!said.starts_with(address_key)) return;
  const auto whole = Multiaddr::from_string(said.substr(address_key.size()));
  if (!whole || !whole->peer_id() || !whole->endpoint()) return;
  const auto address = whole->without_peer();
  if (!address || address->transport() == multiformats::Transport::other) return;
  const auto peer = *whole->peer_id();
  auto known = std::ranges::find(peers, peer, &swarm::AddressInfo::peer);
  if (known == peers.end()) known = peers.insert(known, swarm::AddressInfo{peer});
  if (std::ranges::find(known->addresses, *address) == known->addresses.end())
    known->addresses.push_back(*address);
}

}  // namespace

std::string random_peer_name(io::Random& random) {
  constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string name(peer_name_characters, ' ');
  for (auto& character : name) character = alphabet[random.below(alphabet.size())];
  return name;
}

void Wanted::merge(const Wanted& other) {
  service |= other.service;
  instance |= other.instance;
  types |= other.types;
}

io::Result<Announcer> Announcer::make(std::string_view service, std::string_view peer_name) {
  auto service_name = Name::from_text(service);
  if (!service_name) return tl::unexpected(service_name.error());
  auto instance = Name::below(peer_name, *service_name);
  if (!instance) return tl::unexpected(instance.error());
  return Announcer{std::move(*service_name), std::move(*instance)};
}

DnsMessage Announcer::query() const { return {.questions = {{service, RecordType::ptr}}}; }

Wanted Announcer::wanted_by(const DnsMessage& query) const {
  Wanted wanted;
  for (const auto& question : query.questions) {
    wanted.service |= asks(question, service, RecordType::ptr);
    wanted.instance |= asks(question, instance, RecordType::txt);
    wanted.types |= asks(question, types_name(), RecordType::ptr);
  }
  for (const auto& known : query.answers) {
    const auto* target = std::get_if<Name>(&known.data);
    if (!target || known.type != RecordType::ptr || known.ttl < ttl / 2) continue;
    if (known.name == service && *target == instance) wanted.service = false;
    if (known.name == types_name() && *target == service) wanted.types = false;
  }
  return wanted;
}

DnsMessage Announcer::answer(const Wanted& wanted, const swarm::AddressInfo& self) const {
  DnsMessage message{.response = true, .authoritative = true};
  auto text = text_of(self);
  if (text.empty()) return message;
  if (wanted.types) message.answers.push_back({types_name(), RecordType::ptr, false, ttl, service});
  if (wanted.service) message.answers.push_back({service, RecordType::ptr, false, ttl, instance});
  // The PTR is shared with all who answer; the TXT is ours alone (RFC 6762 §10.2).
  Record where{instance, RecordType::txt, true, ttl, std::move(text)};
  if (wanted.instance) {
    message.answers.push_back(std::move(where));
  } else if (wanted.service) {
    message.additional.push_back(std::move(where));
  }
  return message;
}

DnsMessage Announcer::legacy_answer(const DnsMessage& query, const swarm::AddressInfo& self) const {
  auto message = answer(wanted_by(query), self);
  message.id = query.id;
  message.questions = query.questions;
  for (auto& question : message.questions) question.unicast_response = false;
  for (auto* section : {&message.answers, &message.additional}) {
    for (auto& record : *section) {
      record.ttl = legacy_ttl;
      record.cache_flush = false;
    }
  }
  return message;
}

DnsMessage Announcer::goodbye() const {
  DnsMessage message{.response = true, .authoritative = true};
  message.answers.push_back({service, RecordType::ptr, false, std::chrono::seconds(0), instance});
  return message;
}

std::vector<swarm::AddressInfo> Announcer::read(const DnsMessage& response) const {
  std::vector<swarm::AddressInfo> peers;
  for (const auto* section : {&response.answers, &response.additional}) {
    for (const auto& record : *section) {
      const auto* text = std::get_if<Text>(&record.data);
      if (!text || record.ttl.count() == 0 || !record.name.is_child_of(service)) continue;
      for (const auto& one : *text) add_address(peers, one);
    }
  }
  return peers;
}

}  // namespace flaresim::mdns
