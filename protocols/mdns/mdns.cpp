#include "protocols/mdns/mdns.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "protocols/mdns/announcement.h"

namespace flaresim::mdns {
namespace {

using multiformats::Multiaddr;

constexpr std::uint16_t mdns_port = 5353;  // RFC 6762 §3

io::IpAddress unspecified_like(const io::IpAddress& address) {
  if (address.is_v4()) return boost::asio::ip::address_v4::any();
  return boost::asio::ip::address_v6::any();
}

bool is_own_link(const Multiaddr& address) {
  const auto endpoint = address.endpoint();
  if (!endpoint || endpoint->address.is_loopback() || endpoint->address.is_unspecified()) return false;
  return !(endpoint->address.is_v6() && endpoint->address.to_v6().is_link_local());
}

}  // namespace

/// Its coroutines hold it by their first argument, from before they start until they end.
struct Mdns::State : std::enable_shared_from_this<Mdns::State> {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, MdnsProfile with)
      : swarm(std::move(on)),
        profile(std::move(with)),
        random(swarm->network().random(swarm->profile().random_stream + " mdns")),
        query_timer(swarm->scheduler()) {}

  /// An answer that waits for its time.
  struct Answer {
    explicit Answer(io::Scheduler& scheduler) : timer(scheduler) {}

    io::Timer timer;
    Wanted wanted;
    std::optional<DnsMessage> legacy_query;  // of one who is no multicast DNS querier
  };

  /// Multicast DNS over one version of IP.
  struct Channel {
    io::Endpoint group;
    std::unique_ptr<io::DatagramSocket> socket;
    std::map<io::Endpoint, Answer> answers{};  // by whom they are for; the group is one of them
    std::optional<io::TimePoint> told_at{};    // the group, the last time
  };
  using ChannelPtr = std::shared_ptr<Channel>;

  void start();
  void open(const char* group);
  static io::Task<> listen(Ptr self, ChannelPtr channel);
  void heard(Channel& channel, const io::Datagram& datagram);
  void asked(Channel& channel, const io::Endpoint& by, DnsMessage query);
  void learn(const DnsMessage& response);
  bool is_from_our_link(const io::IpAddress& from) const;

  void ask();
  void announce();
  Answer* pending_answer(Channel& channel, const io::Endpoint& to);
  void answer_later(Channel& channel, const io::Endpoint& to, Wanted wanted);
  void answer_now(Channel& channel, const io::Endpoint& to);
  bool send(Channel& channel, const DnsMessage& message, const io::Endpoint& to);
  std::vector<Multiaddr> own_addresses() const;
  void stop();

  std::shared_ptr<swarm::Swarm> swarm;
  MdnsProfile profile;
  io::Random random;
  io::Timer query_timer;
  std::optional<Announcer> self;
  std::vector<ChannelPtr> channels;  // in the order of opening
  std::vector<Multiaddr> announced;
  MdnsCounters counters;
  std::error_code error;
  std::vector<std::function<void(const swarm::AddressInfo&)>> when_found;
  bool stopped = false;
};

void Mdns::State::start() {
  auto made = Announcer::make(profile.service, random_peer_name(random));
  if (!made) {
    error = made.error();
    return;
  }
  self = std::move(*made);
  for (const char* group : {"224.0.0.251", "ff02::fb"}) open(group);  // RFC 6762 §3
  if (channels.empty()) return;
  error = {};
  const auto delay = random.between(profile.answer_delay_min, profile.answer_delay_max);
  query_timer.arm_after(delay, [this] { ask(); });
}

void Mdns::State::open(const char* group) {
  const auto address = boost::asio::ip::make_address(group);
  auto socket = swarm->network().bind({unspecified_like(address), mdns_port});
  const auto joined = socket ? (*socket)->join(address) : tl::unexpected(socket.error());
  if (!joined) {
    if (!error) error = joined.error();
    return;
  }
  channels.push_back(std::make_shared<Channel>(Channel{{address, mdns_port}, std::move(*socket)}));
  io::spawn(swarm->scheduler().executor(), listen(shared_from_this(), channels.back()));
}

io::Task<> Mdns::State::listen(Ptr self, ChannelPtr channel) {
  while (!self->stopped) {
    const auto datagram = co_await channel->socket->receive();
    if (!datagram) break;
    if (!self->stopped) self->heard(*channel, *datagram);
  }
}

void Mdns::State::heard(Channel& channel, const io::Datagram& datagram) {
  auto message = datagram.payload.size() <= profile.max_message_bytes ? decode(datagram.payload)
                                                                      : io::fail(DnsError::message_too_long);
  if (!message) {
    ++counters.malformed;
  } else if (!is_from_our_link(datagram.from.address) ||
             (message->response && datagram.from.port != mdns_port)) {
    ++counters.foreign;
  } else if (message->response) {
    learn(*message);
  } else {
    asked(channel, datagram.from, std::move(*message));
  }
}

bool Mdns::State::is_from_our_link(const io::IpAddress& from) const {
  if (!io::is_public(from)) return true;
  return std::ranges::any_of(swarm->network().addresses(), [&](const auto& own) {
    return own.is_v4() == from.is_v4() && io::is_public(own);
  });
}

void Mdns::State::asked(Channel& channel, const io::Endpoint& by, DnsMessage query) {
  const auto wanted = self->wanted_by(query);
  if (!wanted.any()) return;
  if (by.port != mdns_port) {
    if (const auto answer = pending_answer(channel, by)) answer->legacy_query = std::move(query);
    return;
  }
  const auto now = swarm->scheduler().now();
  const bool alone = std::ranges::all_of(query.questions, &Question::unicast_response);
  const bool group_knows = channel.told_at && now - *channel.told_at < Announcer::ttl / 4;
  answer_later(channel, alone && group_knows ? by : channel.group, wanted);
}

void Mdns::State::learn(const DnsMessage& response) {
  for (const auto& found : self->read(response)) {
    if (found.peer == swarm->id()) continue;
    const auto& known = swarm->peers().find(found.peer).addresses;
    const bool news = std::ranges::any_of(found.addresses, [&](const auto& address) {
      return std::ranges::find(known, address) == known.end();
    });
    swarm->peers().add_addresses(found.peer, found.addresses);
    if (news) swarm->trace("mdns.found", found.peer.short_string());
    for (const auto& callback : when_found) callback(found);
    if (stopped) return;
  }
}

void Mdns::State::ask() {
  for (const auto& channel : channels) {
    if (send(*channel, self->query(), channel->group)) ++counters.queries_sent;
  }
  announce();
  query_timer.arm_after(profile.query_interval, [this] { ask(); });
}

void Mdns::State::announce() {
  announced = own_addresses();
  for (const auto& channel : channels) answer_later(*channel, channel->group, {.service = true});
}

/// Null when too many wait already.
Mdns::State::Answer* Mdns::State::pending_answer(Channel& channel, const io::Endpoint& to) {
  const bool for_group = to == channel.group;
  const auto waiting = channel.answers.find(to);
  if (waiting != channel.answers.end()) return &waiting->second;
  const auto others = channel.answers.size() - channel.answers.count(channel.group);
  if (!for_group && others >= profile.max_pending_answers) return nullptr;

  auto at = swarm->scheduler().now() + random.between(profile.answer_delay_min, profile.answer_delay_max);
  if (for_group && channel.told_at) at = std::max(at, *channel.told_at + profile.multicast_gap);
  auto& answer = channel.answers.try_emplace(to, swarm->scheduler()).first->second;
  answer.timer.arm_at(at, [this, &channel, to] { answer_now(channel, to); });
  return &answer;
}

void Mdns::State::answer_later(Channel& channel, const io::Endpoint& to, Wanted wanted) {
  if (const auto answer = pending_answer(channel, to)) answer->wanted.merge(wanted);
}

void Mdns::State::answer_now(Channel& channel, const io::Endpoint& to) {
  const auto answer = channel.answers.extract(to);
  const swarm::AddressInfo told{swarm->id(), own_addresses()};
  const auto& waiting = answer.mapped();
  const auto message = waiting.legacy_query ? self->legacy_answer(*waiting.legacy_query, told)
                                            : self->answer(waiting.wanted, told);
  if (message.answers.empty() || !send(channel, message, to)) return;
  ++counters.answers_sent;
  if (to == channel.group && waiting.wanted.service) channel.told_at = swarm->scheduler().now();
}

bool Mdns::State::send(Channel& channel, const DnsMessage& message, const io::Endpoint& to) {
  const auto bytes = encode(message);
  return bytes && channel.socket->send_to(*bytes, to);
}

std::vector<Multiaddr> Mdns::State::own_addresses() const {
  auto addresses = swarm->addresses().listening();
  std::erase_if(addresses, [](const auto& address) { return !is_own_link(address); });
  return addresses;
}

void Mdns::State::stop() {
  if (std::exchange(stopped, true)) return;
  query_timer.cancel();
  for (const auto& channel : channels) {
    channel->answers.clear();
    if (channel->told_at) send(*channel, self->goodbye(), channel->group);
    channel->socket->close();
  }
}

Mdns::Mdns(std::shared_ptr<swarm::Swarm> swarm, MdnsProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), std::move(profile))) {
  state_->start();
  const std::weak_ptr<State> weak = state_;
  state_->swarm->addresses().on_change([weak] {
    const auto state = weak.lock();
    if (state && !state->stopped && state->self && state->own_addresses() != state->announced)
      state->announce();
  });
}

Mdns::~Mdns() { stop(); }

void Mdns::on_found(std::function<void(const swarm::AddressInfo&)> callback) {
  state_->when_found.push_back(std::move(callback));
}

const MdnsCounters& Mdns::counters() const { return state_->counters; }

std::error_code Mdns::error() const { return state_->error; }

void Mdns::stop() { state_->stop(); }

}  // namespace flaresim::mdns
