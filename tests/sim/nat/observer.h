#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/nat/nat.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {

/// What one has seen pass between an inside endpoint, by its outside endpoint, and a remote.
struct Flow {
  Transport transport = Transport::udp;
  Host inside, outside, remote;  ///< `outside` is `inside` where nothing is translated
  Time began{};
  Time kept_until{};                ///< the box must know it before then
  Time gone_at{};                   ///< and must not from then on
  bool spoken[2] = {false, false};  ///< outbound, inbound
  bool holds = false;               ///< keeps the mapping, and opens the filter
  bool lasting = false;             ///< UDP: a stream
  bool doubtful = false;            ///< the box may or may not have begun it anew: nothing is demanded of it
  std::uint8_t flags[2] = {0, 0};   ///< TCP: all that were seen
  bool orderly = true;              ///< TCP: a conversation by the book, as far as seen
  int stage = 0;                    ///< TCP: packets of the three-way handshake so far
  bool begun_inside = true;         ///< by the first of them
};

/// Knows a box by its behaviour and by the packets before and after it, and says what a box must not do. Shares no
/// code with it but the notation: plain vectors, strings and scans. Where the behaviour leaves something open, so does the observer:
/// it knows for each flow until when it must be there and from when on it must not.
class Observer {
 public:
  Observer(const Behaviour& behaviour, std::vector<std::string> outside);

  void outbound(const Bytes& before, const Verdict& verdict, const Bytes& after, Time now);
  void inbound(const Bytes& before, const Verdict& verdict, const Bytes& after, Time now);
  /// What the box said of its own accord.
  void emitted(const Bytes& packet, Time now);
  void opened(const Forward& forward, const Host& inside, std::error_code error, Time now);
  void closed(const Forward& forward);
  void counted(std::size_t size, Time now);
  void complain(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

  /// The first thing that went wrong; empty: none.
  const std::string& violation() const { return violation_; }
  const std::vector<Flow>& flows() const { return flows_; }
  /// From when on the box must know nothing any more.
  Time all_gone_after(Time now) const;

 private:
  enum class Kind { udp, tcp, echo_request, echo_reply, error };
  struct Seen {
    Read packet;
    Kind kind = Kind::udp;
    Transport transport = Transport::udp;
    std::uint8_t flags = 0;
    bool v6 = false;
  };
  struct Timers {
    Time shortest{}, longest{};
  };
  using Tuple = std::tuple<Transport, Host, Host>;

  static Seen look(const Bytes& packet);
  void packet_and_answer(const Seen& seen, const Bytes& before, const Verdict& verdict, const Bytes& after);
  void demand(bool holds, const char* rule, const std::string& detail = {});

  const Behaviour& side(bool v6) const { return v6 ? ipv6_ : behaviour_; }
  const TransportRules& rules(Transport transport, bool v6) const;
  const TransportRules& rules(const Seen& seen) const { return rules(seen.transport, seen.v6); }
  bool translates(const Seen& seen) const { return !seen.v6 && behaviour_.translate == Translate::on; }
  bool is_fixed(const Seen& seen) const { return !seen.v6 && behaviour_.translate == Translate::fixed; }
  bool is_open(Transport transport, bool v6) const;
  bool is_own(const std::string& address) const;
  Timers timers(Transport transport, bool v6) const;

  void outbound_drop(const Seen& seen, Rule rule, Time now);
  void outbound_error(const Seen& before, const Bytes& after, Time now);
  void leaves(const Seen& before, const Seen& after, Time now);
  void hairpin(const Seen& before, const Seen& after, Time now);
  void new_flow(const Flow& flow, Time now);
  void port_of(const Flow& flow, Time now);
  void block_of(const Flow& flow, Time now);
  void limits(const Flow& flow, Time now);
  void evict(Time now);
  void shared(const Flow& flow, Time now);
  void inbound_drop(const Seen& seen, Rule rule, Time now);
  void inbound_error(const Seen& before, const Bytes& after, Time now);
  void arrives(const Seen& before, const Seen& after, Time now);

  Flow* find(const Flow& key);
  const Flow* must_let_in(const Seen& seen, Time now) const;
  bool may_let_in(const Seen& seen, const Host& inside, Time now) const;
  const Forward* forward_at(Transport transport, const Host& outside) const;
  bool knows_from_inside(Transport transport, const Host& inside, const Host& remote, Time now) const;
  void touch(const Flow& key, bool outbound, std::uint8_t flags, Time now);
  void touch_icmp(Flow& flow, bool outbound, bool is_new, Time now);
  void touch_udp(Flow& flow, bool outbound, bool is_new, Time now);
  void touch_tcp(Flow& flow, bool outbound, std::uint8_t flags, Time now);
  void unseen(Transport transport, const Host& a, const Host& b, Time now);
  void note_unsolicited(const Seen& seen, Rule rule, Time now);
  bool surely_denied(const Host& remote, Time now) const;
  bool maybe_denied(const Host& remote, Time now) const;
  Host deny_key(const Host& remote) const;
  std::size_t most_mappings(Time now, const std::string& inside_address = {}) const;
  bool is_full(const std::string& inside_address, Time now) const;

  const Behaviour behaviour_;
  const Behaviour ipv6_;
  const std::vector<std::string> outside_;
  std::vector<Flow> flows_;
  /// What the box may keep although nothing showed it: hairpins, tuples of the router's own. Until when.
  std::map<Tuple, Time> unseen_;
  std::map<Host, Time> unseen_inside_;            ///< endpoints that may have a mapping by such
  std::map<Host, std::pair<Time, Time>> denied_;  ///< surely, maybe until
  std::map<std::pair<Transport, Host>, std::set<Host>> holders_;  ///< all who ever had an outside endpoint
  std::vector<std::pair<Forward, Host>> forwards_;
  std::set<Host> ever_forwarded_;
  std::map<std::string, std::string> fixed_;    ///< 1:1, by the inside address
  std::map<std::pair<Host, Host>, Time> late_;  ///< SYNs that will be answered later, and when
  Timers timers_[3][2];
  bool evicting_ = false;
  bool has_closed_ = false;  ///< a forward, whose sessions may stand in the way of mappings
  std::string violation_;
};

}  // namespace flaresim::nat::test
