#pragma once

#include <list>
#include <map>

#include "protocols/io/random.h"
#include "protocols/io/signal.h"
#include "protocols/kademlia/candidates.h"
#include "protocols/kademlia/dht.h"
#include "protocols/kademlia/message.h"

namespace flaresim::kademlia {

/// What a DHT and its coroutines share. They hold it by their first argument, from before they start until they end.
struct Dht::State : std::enable_shared_from_this<Dht::State> {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, identify::Identify by, DhtProfile with);

  io::Scheduler& scheduler() const { return swarm->scheduler(); }
  io::TimePoint now() const { return scheduler().now(); }

  // Addresses (addresses.cpp).
  bool is_usable(const multiformats::Multiaddr& address) const;
  /// Those that may be handed out.
  std::vector<multiformats::Multiaddr> usable(std::vector<multiformats::Multiaddr> addresses) const;
  /// Those that a lookup may dial.
  std::vector<multiformats::Multiaddr> direct(std::vector<multiformats::Multiaddr> addresses) const;
  /// All that we know.
  std::vector<multiformats::Multiaddr> addresses_of(const multiformats::PeerId& peer) const;
  PeerEntry entry_of(const multiformats::PeerId& peer, std::vector<multiformats::Multiaddr> addresses) const;
  /// Leaves out peers of which too many share a group of addresses.
  std::vector<PeerEntry> diverse(std::vector<PeerEntry> peers) const;

  // Requests (requests.cpp).
  static io::Task<io::Result<swarm::ConnectionPtr>> connect(Ptr self, multiformats::PeerId peer,
                                                            std::vector<multiformats::Multiaddr> addresses);
  /// Sends to a connected peer; the answer to `add_provider` is empty.
  static io::Task<io::Result<Message>> request(Ptr self, multiformats::PeerId peer, Message message);
  static io::Task<io::Result<Message>> try_request(Ptr self, multiformats::PeerId peer, Message message);
  static io::Task<io::Result<io::StreamPtr>> stream_to(Ptr self, multiformats::PeerId peer);
  static io::Task<io::Result<Message>> exchange(Ptr self, io::StreamPtr stream, Message message);
  io::StreamPtr take_idle(const multiformats::PeerId& peer);
  void keep_idle(const multiformats::PeerId& peer, io::StreamPtr stream);
  void end_idle_streams();
  /// Connects and sends; whether it was taken.
  static io::Task<bool> tell(Ptr self, multiformats::PeerId peer, Message message);

  // Lookups (lookup.cpp).
  struct Lookup {
    Lookup(io::Scheduler& scheduler, io::Bytes wanted, MessageType type, std::size_t max_candidates)
        : request{type, wanted}, candidates(key_of(wanted), max_candidates), news(scheduler) {}

    Message request;
    Candidates candidates;
    io::Signal news;
    /// Called with every answer.
    std::function<void(const multiformats::PeerId&, const Message&)> on_answer;
    bool enough = false;     // set to end it early
    bool over = false;       // answers that come now are of no interest
    bool completed = false;  // it came to its own end
    io::TimePoint until;
    LookupReport report;
  };
  using LookupPtr = std::shared_ptr<Lookup>;

  LookupPtr new_lookup(io::Bytes key, MessageType type);
  static io::Task<LookupReport> look_up(Ptr self, LookupPtr lookup, io::Duration limit);
  static io::Task<> run_lookup(Ptr self, LookupPtr lookup);
  static io::Task<> follow_up(Ptr self, LookupPtr lookup);
  static io::Task<> query(Ptr self, LookupPtr lookup, multiformats::PeerId peer,
                          std::vector<multiformats::Multiaddr> addresses);
  void start_query(const LookupPtr& lookup, const multiformats::PeerId& peer);
  bool is_settled(const Lookup& lookup) const;
  bool is_ended(const Lookup& lookup) const;
  void take_answer(Lookup& lookup, const multiformats::PeerId& from, Message answer);
  void take_failure(Lookup& lookup, const multiformats::PeerId& peer);
  void note_useful_peers(const Lookup& lookup);
  void finish(Lookup& lookup);

  // What the public functions do (client.cpp).
  static io::Task<io::Result<Found>> find_peer(Ptr self, multiformats::PeerId peer);
  static io::Task<io::Result<>> put_value(Ptr self, io::Bytes key, io::Bytes value);
  static io::Task<io::Result<io::Bytes>> get_value(Ptr self, io::Bytes key);
  static io::Task<io::Result<>> provide(Ptr self, io::Bytes key);
  static io::Task<io::Result<>> announce_provider(Ptr self, io::Bytes key);
  static io::Task<> republish(Ptr self, io::Bytes key);
  static io::Task<std::vector<swarm::AddressInfo>> find_providers(Ptr self, io::Bytes key,
                                                                  std::size_t enough);
  /// Tells all of them; how many took it.
  static io::Task<std::size_t> tell_all(Ptr self, std::vector<multiformats::PeerId> peers, Message message);
  const Validator* validator_of(io::BytesView key) const;

  // What others ask of us (server.cpp).
  struct Inbound {
    multiformats::PeerId peer;
    io::StreamPtr stream;
    io::TimePoint since;
  };
  static io::Task<> serve(Ptr self, swarm::IncomingStream in);
  static io::Task<std::error_code> serve_requests(Ptr self, multiformats::PeerId peer, io::StreamPtr stream,
                                                  std::list<Inbound>::iterator place);
  /// Nothing where no answer is due.
  io::Result<std::optional<Message>> handle(const multiformats::PeerId& from, Message request);
  io::Result<std::optional<Message>> handle_find_node(const multiformats::PeerId& from,
                                                      const Message& request);
  io::Result<std::optional<Message>> handle_get_value(const multiformats::PeerId& from,
                                                      const Message& request);
  io::Result<std::optional<Message>> handle_put_value(Message request);
  io::Result<std::optional<Message>> handle_add_provider(const multiformats::PeerId& from,
                                                         const Message& request);
  io::Result<std::optional<Message>> handle_get_providers(const multiformats::PeerId& from,
                                                          const Message& request);
  std::vector<PeerEntry> closer_peers(io::BytesView key, const multiformats::PeerId& asker) const;
  void reset_inbound(std::error_code why);

  // The table and what keeps it full (upkeep.cpp).
  void peer_found(const swarm::ConnectionPtr& connection);
  bool is_server(const multiformats::PeerId& peer) const;
  /// The peer has answered.
  void admit(const multiformats::PeerId& peer);
  void drop(const multiformats::PeerId& peer);
  void tag(const multiformats::PeerId& peer);
  void untag(const multiformats::PeerId& peer);
  IpGroups groups_of(const multiformats::PeerId& peer) const;
  static io::Task<bool> check(Ptr self, multiformats::PeerId peer);
  static io::Task<> check_newcomer(Ptr self, multiformats::PeerId peer);
  static io::Task<> check_silent(Ptr self);
  void fill_if_low();
  static io::Task<> fill(Ptr self);
  static io::Task<> connect_to_bootstrap_peers(Ptr self);
  void start_refresh(bool all);
  static io::Task<> refresh(Ptr self);
  static io::Task<> refresh_once(Ptr self, bool all);
  static io::Task<> refresh_prefixes(Ptr self, bool all);
  static io::Task<> refresh_prefix(Ptr self, std::size_t prefix, bool all);
  void end_first_self_lookup();
  io::Duration jittered(io::Duration period);
  void tick();
  void arm();
  void stop();

  std::shared_ptr<swarm::Swarm> swarm;
  identify::Identify identify;
  DhtProfile profile;
  std::string protocol;
  Key place;  // ours
  RoutingTable table;
  RecordStore records;
  ProviderStore providers;
  std::map<std::string, std::shared_ptr<const Validator>, std::less<>> validators;
  std::map<io::Bytes, io::TimePoint> provided;  // by us, and when that is to be said again
  std::vector<swarm::AddressInfo> bootstrap_peers;
  io::Random random;
  Mode mode = Mode::client;
  DhtCounters counters;
  std::vector<std::function<void(const LookupReport&)>> when_looked_up;
  std::vector<std::function<void(const multiformats::PeerId&)>> when_admitted;

  std::list<Inbound> inbound;           // who asked last is last
  std::list<Inbound> idle;              // streams of ours, likewise
  std::list<io::StreamPtr> exchanging;  // streams of ours, with a request on them
  std::vector<LookupPtr> lookups;
  std::size_t requesting = 0;
  std::size_t answering = 0;
  std::size_t checking = 0;

  io::Timer timer;
  io::TimePoint armed_for;
  io::TimePoint next_low_check;
  io::TimePoint next_fill;
  io::TimePoint next_refresh;
  io::TimePoint next_cleanup;
  std::optional<io::TimePoint> settle_at;
  std::array<std::optional<io::TimePoint>, max_refresh_prefix + 1> refreshed_at;
  /// Peers taken in while the table was first filled are replaceable until it has been refreshed twice.
  bool bootstrapping = true;
  int refreshes = 0;
  bool filling = false;
  bool fill_wanted = false;
  bool refreshing = false;
  bool refresh_wanted = false;
  bool refresh_all = true;  // the next time: also what was refreshed not long ago
  bool first_self_lookup_ended = false;
  io::Signal looked_for_self;
  bool stopped = false;
};

}  // namespace flaresim::kademlia
