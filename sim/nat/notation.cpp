// The text form of a behaviour: one table of keys says how each is read, written and explained.

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "sim/nat/behaviour.h"

namespace flaresim::nat {

namespace {

// Words

template <typename Value>
struct Word {
  std::string_view text;
  Value value;
};

template <typename Value>
constexpr std::array<Word<Value>, 0> words{};
template <>
constexpr auto words<Mapping> = std::to_array<Word<Mapping>>({{"EIM", Mapping::endpoint_independent},
                                                              {"ADM", Mapping::address_dependent},
                                                              {"APDM", Mapping::address_and_port_dependent}});
template <>
constexpr auto words<Filtering> = std::to_array<Word<Filtering>>({{"EIF", Filtering::endpoint_independent},
                                                                  {"ADF", Filtering::address_dependent},
                                                                  {"APDF",
                                                                   Filtering::address_and_port_dependent}});
template <>
constexpr auto words<Ports> = std::to_array<Word<Ports>>({{"preserve", Ports::preserve},
                                                          {"sequential", Ports::sequential},
                                                          {"random", Ports::random}});
template <>
constexpr auto words<Contention> = std::to_array<Word<Contention>>({{"random", Contention::random},
                                                                    {"sequential", Contention::sequential},
                                                                    {"overload", Contention::overload},
                                                                    {"drop", Contention::drop}});
template <>
constexpr auto words<Pooling> = std::to_array<Word<Pooling>>({{"paired", Pooling::paired},
                                                              {"arbitrary", Pooling::arbitrary}});
template <>
constexpr auto words<Reply> = std::to_array<Word<Reply>>({{"fresh", Reply::fresh},
                                                          {"session", Reply::session}});
template <>
constexpr auto words<Unsolicited> =
    std::to_array<Word<Unsolicited>>({{"drop", Unsolicited::drop},
                                      {"icmp", Unsolicited::icmp},
                                      {"icmp-port", Unsolicited::icmp_port},
                                      {"delayed-icmp", Unsolicited::delayed_icmp},
                                      {"reset", Unsolicited::reset},
                                      {"accept", Unsolicited::accept},
                                      {"commit-state", Unsolicited::commit_state}});
template <>
constexpr auto words<OutOfState> = std::to_array<Word<OutOfState>>({{"drop", OutOfState::drop},
                                                                    {"reset", OutOfState::reset},
                                                                    {"pick-up", OutOfState::pick_up},
                                                                    {"leak", OutOfState::leak}});
template <>
constexpr auto words<TcpTracking> = std::to_array<Word<TcpTracking>>({{"rfc", TcpTracking::rfc},
                                                                      {"linux", TcpTracking::conntrack}});
template <>
constexpr auto words<Hairpin> = std::to_array<Word<Hairpin>>({{"off", Hairpin::off},
                                                              {"refuse", Hairpin::refuse},
                                                              {"internal", Hairpin::internal},
                                                              {"external", Hairpin::external}});
template <>
constexpr auto words<Refresh> = std::to_array<Word<Refresh>>({{"outbound", Refresh::outbound},
                                                              {"inbound", Refresh::inbound},
                                                              {"both", Refresh::both}});
template <>
constexpr auto words<Fragments> = std::to_array<Word<Fragments>>({{"reassemble-order-free",
                                                                   Fragments::order_free},
                                                                  {"ordered", Fragments::ordered},
                                                                  {"drop", Fragments::drop}});
template <>
constexpr auto words<WhenFull> = std::to_array<Word<WhenFull>>({{"drop", WhenFull::drop},
                                                                {"evict-oldest", WhenFull::evict_oldest}});
template <>
constexpr auto words<DenyKey> = std::to_array<Word<DenyKey>>({{"endpoint", DenyKey::endpoint},
                                                              {"address", DenyKey::address}});
template <>
constexpr auto words<Translate> = std::to_array<Word<Translate>>({{"on", Translate::on},
                                                                  {"off", Translate::off},
                                                                  {"static", Translate::fixed}});

constexpr std::array switch_words{Word<bool>{"on", true}, Word<bool>{"off", false}};
constexpr std::array syn_ack_words{Word<bool>{"pass", true}, Word<bool>{"drop", false}};
constexpr std::array icmp_error_words{Word<bool>{"translate", true}, Word<bool>{"drop", false}};
constexpr std::array echo_words{Word<bool>{"answer", true}, Word<bool>{"drop", false}};
constexpr std::array ttl_words{Word<bool>{"icmp", true}, Word<bool>{"drop", false}};
constexpr std::array unit_words{Word<double>{"ms", 0.001}, Word<double>{"s", 1}, Word<double>{"min", 60},
                                Word<double>{"h", 3600}};

/// No router forgets later than this; it also keeps every deadline inside the range of `Time`.
constexpr Seconds longest_timeout = std::chrono::hours(24 * 365);
/// Of one transport, without a limit of the behaviour's own (nat.h).
constexpr std::uint32_t most_mappings = 1u << 22;
constexpr std::size_t most_allowed_ports = 64;

// Errors

/// Letters to insert, delete, replace or swap with their neighbour to make one text of the other, whatever
/// the case (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  const auto same = [](char c, char d) {
    return std::tolower(static_cast<unsigned char>(c)) == std::tolower(static_cast<unsigned char>(d));
  };
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + !same(a[i - 1], b[j - 1])});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

/// The word that `text` most likely means: at most half of its letters may differ.
std::string nearest_word(std::string_view text, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = (text.size() + 1) / 2 + 1;
  if (text.empty() || text.size() > 64) return {};
  for (const auto& word : candidates) {
    const std::size_t distance = edit_distance(text, word);
    if (distance < best_distance && distance < std::max(text.size(), word.size()))
      best = word, best_distance = distance;
  }
  return best;
}

template <typename Words>
std::vector<std::string> texts(const Words& of) {
  std::vector<std::string> all;
  for (const auto& word : of) all.emplace_back(word.text);
  return all;
}

/// A piece of the notation and where it stands.
struct Token {
  std::string_view text;
  std::size_t offset;
};

using Failure = std::optional<NotationError>;

Failure unknown(const char* what, const Token& token, const std::vector<std::string>& candidates) {
  return NotationError{std::string(what) + " '" + std::string(token.text) + "'", token.offset,
                       nearest_word(token.text, candidates)};
}

// Values

/// How the values of one kind are read, written and described.
template <typename Value>
struct Codec {
  std::function<Failure(const Token&, Value&)> read;
  std::function<std::string(const Value&)> write;
  std::string values;
};

template <typename Words, typename Value>
Failure read_word(const char* what, const Token& token, const Words& of, Value& into) {
  for (const auto& word : of) {
    if (word.text != token.text) continue;
    into = word.value;
    return {};
  }
  return unknown(what, token, texts(of));
}

template <typename Words, typename Value>
std::string word_for(const Value& value, const Words& of) {
  return std::string(
      std::find_if(of.begin(), of.end(), [&](const auto& w) { return w.value == value; })->text);
}

template <typename Words, typename Value>
Codec<Value> word_codec(const Words& of, const char* what = "unknown value") {
  std::string values;
  for (const auto& word : of) values += (values.empty() ? "" : ", ") + std::string(word.text);
  return {[&of, what](const Token& token, Value& into) { return read_word(what, token, of, into); },
          [&of](const Value& value) { return word_for(value, of); }, values};
}

template <typename Value>
Codec<Value> one_of(const char* what = "unknown value") {
  return word_codec<decltype(words<Value>), Value>(words<Value>, what);
}

template <typename Words>
Codec<bool> either(const Words& of) {
  return word_codec<Words, bool>(of);
}

double in_seconds(double count, double unit_seconds) {
  return unit_seconds < 1 ? count / 1000 : count * unit_seconds;  // exact for whole milliseconds, too
}

Failure read_duration(const Token& token, Seconds& into, bool may_be_zero) {
  const char* const end = token.text.data() + token.text.size();
  double count = 0;
  const auto [rest, error] = std::from_chars(token.text.data(), end, count, std::chars_format::fixed);
  if (error != std::errc() || !std::isdigit(static_cast<unsigned char>(token.text[0])))
    return NotationError{"a duration is a number and a unit", token.offset, {}};
  const std::size_t digits = rest - token.text.data();
  const Token unit{token.text.substr(digits), token.offset + digits};
  double unit_seconds = 0;
  if (auto failure = read_word("unknown unit of time", unit, unit_words, unit_seconds)) return failure;
  const Seconds value{in_seconds(count, unit_seconds)};
  if (!(value.count() > 0 || (may_be_zero && value.count() == 0)) || !(value <= longest_timeout))
    return NotationError{may_be_zero ? "this is at most 8760h" : "a timeout is more than 0 and at most 8760h",
                         token.offset,
                         {}};
  into = value;
  return {};
}

std::string duration_text(Seconds value) {
  for (const auto& unit : {unit_words[3], unit_words[2], unit_words[1], unit_words[0]}) {
    const double count = value.count() / unit.value;
    const auto whole = static_cast<long long>(count + 0.5);
    if (whole > 0 && in_seconds(static_cast<double>(whole), unit.value) == value.count())
      return std::to_string(whole) + std::string(unit.text);
  }
  std::array<char, 400> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value.count(), std::chars_format::fixed)
          .ptr;
  return std::string(digits.data(), end) + "s";
}

Codec<Seconds> duration(bool may_be_zero = false) {
  return {
      [may_be_zero](const Token& token, Seconds& into) { return read_duration(token, into, may_be_zero); },
      duration_text, may_be_zero ? "a duration, 0s for none" : "a duration"};
}

template <typename Value>
Failure read_number(const Token& token, std::uint32_t least, std::uint32_t most, Value& into) {
  const char* const end = token.text.data() + token.text.size();
  std::uint32_t number = 0;
  const auto [rest, error] = std::from_chars(token.text.data(), end, number);
  if (error != std::errc() || rest != end || number < least || number > most)
    return NotationError{
        "expected a number from " + std::to_string(least) + " to " + std::to_string(most), token.offset, {}};
  into = static_cast<Value>(number);
  return {};
}

template <typename Value>
Codec<Value> number(std::uint32_t least, std::uint32_t most) {
  return {[least, most](const Token& token, Value& into) { return read_number(token, least, most, into); },
          [](const Value& value) { return std::to_string(value); },
          "a number from " + std::to_string(least) + " to " + std::to_string(most)};
}

/// Cuts `text` at each separator, and remembers where the pieces stood.
std::vector<Token> split(const Token& whole, char separator) {
  std::vector<Token> pieces;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = whole.text.find(separator, begin);
    pieces.push_back({whole.text.substr(begin, end - begin), whole.offset + begin});
    if (end == std::string_view::npos) return pieces;
    begin = end + 1;
  }
}

Failure read_range(const Token& token, PortRange& into) {
  const auto ends = split(token, '-');
  if (ends.size() != 2) return NotationError{"a range of ports is FIRST-LAST", token.offset, {}};
  PortRange range;
  if (auto failure = read_number(ends[0], 1, 65535, range.first)) return failure;
  if (auto failure = read_number(ends[1], 1, 65535, range.last)) return failure;
  if (range.first > range.last)
    return NotationError{"the last port is below the first one", ends[1].offset, {}};
  into = range;
  return {};
}

Codec<PortRange> port_range() {
  return {
      read_range,
      [](const PortRange& range) { return std::to_string(range.first) + "-" + std::to_string(range.last); },
      "FIRST-LAST"};
}

using PortList = std::vector<std::uint16_t>;

Failure read_ports(const Token& token, PortList& into) {
  PortList ports;
  if (token.text == "any") {
    into = {};
    return {};
  }
  for (const auto& piece : split(token, '+')) {
    if (auto failure = read_number(piece, 1, 65535, ports.emplace_back())) return failure;
    if (ports.size() > most_allowed_ports)
      return NotationError{"more than " + std::to_string(most_allowed_ports) + " ports", piece.offset, {}};
  }
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  into = ports;
  return {};
}

Codec<PortList> port_list() {
  return {read_ports,
          [](const PortList& ports) {
            std::string text;
            for (const auto port : ports) text += (text.empty() ? "" : "+") + std::to_string(port);
            return text.empty() ? "any" : text;
          },
          "any, or PORT+PORT…"};
}

// Keys

using Transports = std::array<TransportRules Behaviour::*, 3>;
constexpr Transports transports{&Behaviour::udp, &Behaviour::tcp, &Behaviour::icmp};
using Ipv6Transports = std::array<Ipv6Rules::OfTransport Ipv6Rules::*, 3>;
constexpr Ipv6Transports ipv6_transports{&Ipv6Rules::udp, &Ipv6Rules::tcp, &Ipv6Rules::icmp};
constexpr std::array<std::string_view, 3> prefixes{"udp_", "tcp_", "icmp_"};

/// One key as it is written. `read` returns why a value is none; `write` an empty text for an unset value.
struct Key {
  std::string text;
  bool bare_of_three = false;  // read before all others, so that a key for one transport wins
  std::function<Failure(const Token&, Behaviour&)> read;
  std::function<std::string(const Behaviour&)> write;
  /// The keys for single transports that together say the same.
  std::vector<std::size_t> parts = {};
  bool is_part = false;
};

struct Notation {
  std::vector<Key> keys;
  std::map<std::string, std::size_t, std::less<>> by_text;
  std::vector<KeyInfo> infos;

  void add(Key key) {
    by_text.emplace(key.text, keys.size());
    keys.push_back(std::move(key));
  }

  template <typename Value>
  void plain(const std::string& text, Value Behaviour::*field, const Codec<Value>& codec,
             const char* meaning) {
    infos.push_back({text, codec.values, meaning, false, false});
    add({text, false, [=](const Token& token, Behaviour& b) { return codec.read(token, b.*field); },
         [=](const Behaviour& b) { return codec.write(b.*field); }});
  }

  template <typename Value>
  void plain(const std::string& text, Value Behaviour::*field, const Codec<Value>& codec, const char* meaning,
             std::optional<Value> Ipv6Rules::*ipv6) {
    plain(text, field, codec, meaning);
    infos.back().ipv6 = true;
    add({"ipv6_" + text, false,
         [=](const Token& token, Behaviour& b) { return codec.read(token, (b.ipv6.*ipv6).emplace()); },
         [=](const Behaviour& b) { return b.ipv6.*ipv6 ? codec.write(*(b.ipv6.*ipv6)) : std::string(); }});
  }

  /// A bare key, and the same for each of the first `count` transports.
  void group(const std::string& family, const std::string& text, std::size_t count,
             const std::function<Key(std::size_t)>& part) {
    Key bare;
    bare.text = family + text;
    bare.bare_of_three = true;
    std::vector<Key> all;
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back(part(i));
      all.back().text = family + std::string(prefixes[i]) + text;
      all.back().is_part = true;
      bare.parts.push_back(keys.size() + 1 + i);
    }
    bare.read = [all](const Token& token, Behaviour& b) -> Failure {
      for (const auto& key : all)
        if (auto failure = key.read(token, b)) return failure;
      return {};
    };
    bare.write = [all](const Behaviour& b) {
      std::vector<std::string> values;
      for (const auto& key : all) values.push_back(key.write(b));
      const bool alike = std::equal(values.begin() + 1, values.end(), values.begin());
      std::string text_of_all = values[0];
      for (std::size_t i = 1; !alike && i < values.size(); ++i) text_of_all += " " + values[i];
      return text_of_all;
    };
    add(std::move(bare));
    for (auto& key : all) add(std::move(key));
  }

  template <typename Value>
  void per_transport(const std::string& text, Value TransportRules::*field, const Codec<Value>& codec,
                     const char* meaning, std::size_t count = 3) {
    infos.push_back({text, codec.values, meaning, true, false});
    group("", text, count, [=](std::size_t i) {
      return Key{{},
                 false,
                 [=](const Token& token, Behaviour& b) { return codec.read(token, b.*transports[i].*field); },
                 [=](const Behaviour& b) { return codec.write(b.*transports[i].*field); }};
    });
  }

  template <typename Value>
  void per_transport(const std::string& text, Value TransportRules::*field, const Codec<Value>& codec,
                     const char* meaning, std::optional<Value> Ipv6Rules::OfTransport::*ipv6,
                     std::size_t count = 3) {
    per_transport(text, field, codec, meaning, count);
    infos.back().ipv6 = true;
    group("ipv6_", text, count, [=](std::size_t i) {
      return Key{{},
                 false,
                 [=](const Token& token, Behaviour& b) {
                   return codec.read(token, (b.ipv6.*ipv6_transports[i].*ipv6).emplace());
                 },
                 [=](const Behaviour& b) {
                   const auto& value = b.ipv6.*ipv6_transports[i].*ipv6;
                   return value ? codec.write(*value) : std::string();
                 }};
    });
  }

  void unsolicited();
};

Failure no_reset(const Token& token, Behaviour&) {
  return NotationError{"only TCP has a reset", token.offset, {}};
}

/// UDP and ICMP have no RST: the bare word means TCP alone, and for them it is an error.
void Notation::unsolicited() {
  per_transport("unsolicited", &TransportRules::unsolicited, one_of<Unsolicited>("unknown answer"),
                "what an inbound packet gets that no mapping or filter lets in (RFC 5382 REQ-4)",
                &Ipv6Rules::OfTransport::unsolicited);
  for (const std::string family : {"", "ipv6_"}) {
    Key& bare = keys[by_text.at(family + "unsolicited")];
    Key& udp = keys[by_text.at(family + "udp_unsolicited")];
    Key& tcp = keys[by_text.at(family + "tcp_unsolicited")];
    Key& icmp = keys[by_text.at(family + "icmp_unsolicited")];
    bare.read = [both = bare.read, tcp_only = tcp.read](const Token& token, Behaviour& b) {
      return token.text == "reset" ? tcp_only(token, b) : both(token, b);
    };
    for (Key* key : {&udp, &icmp})
      key->read = [read = key->read](const Token& token, Behaviour& b) {
        return token.text == "reset" ? no_reset(token, b) : read(token, b);
      };
  }
}

Notation make_notation() {
  using B = Behaviour;
  using T = TransportRules;
  using V6 = Ipv6Rules;
  Notation n;
  n.per_transport("mapping", &T::mapping, one_of<Mapping>("unknown mapping"),
                  "which remotes see the same outside endpoint (RFC 4787 §4.1)");
  n.per_transport("filtering", &T::filtering, one_of<Filtering>("unknown filtering"),
                  "which remotes a mapping lets in (RFC 4787 §5)", &V6::OfTransport::filtering);
  n.per_transport("ports", &T::ports, one_of<Ports>("unknown port assignment"),
                  "which outside port a mapping gets (RFC 4787 §4.2)");
  n.plain("translate", &B::translate, one_of<Translate>(),
          "on; off (a firewall); static (1:1, ports unchanged)");
  n.per_transport("contention", &T::contention, one_of<Contention>(),
                  "what preserve does when the port is taken (RFC 4787 §4.2.1)");
  n.per_transport("step", &T::step, number<std::uint16_t>(1, 1024), "between sequential ports");
  n.per_transport("parity", &T::parity, either(switch_words), "even ports stay even (RFC 4787 §4.2.2)");
  n.per_transport("contiguity", &T::contiguity, either(switch_words),
                  "neighbouring ports stay neighbours (RFC 4787 §4.2.3)");
  n.per_transport("port_range", &T::port_range, port_range(), "from which ports are chosen");
  n.per_transport("port_classes", &T::port_classes, either(switch_words),
                  "ports below 512, from 600 to 1023, and above stay among themselves (Linux)");
  n.per_transport("reuse", &T::reuse, either(switch_words),
                  "a new mapping prefers the port that its inside endpoint has elsewhere (Linux)");
  n.plain("port_block", &B::port_block, number<std::uint16_t>(0, 65535),
          "ports a block that belongs to one subscriber, 0 for none (RFC 7422)");
  n.plain("port_blocks", &B::port_blocks, number<std::uint16_t>(1, 1024),
          "most blocks of a subscriber (RFC 6888 REQ-4)");
  n.plain("pooling", &B::pooling, one_of<Pooling>(), "which of several outside addresses (RFC 4787 REQ-2)");
  n.per_transport(
      "reply", &T::reply, one_of<Reply>(),
      "from where what a looser filter let in is answered: a mapping by the rule, or the session's");
  n.unsolicited();
  n.plain("unsolicited_delay", &B::unsolicited_delay, duration(), "of delayed-icmp (RFC 5382 REQ-4)",
          &V6::unsolicited_delay);
  n.plain("out_of_state", &B::out_of_state, one_of<OutOfState>(), "what TCP gets that fits no connection",
          &V6::out_of_state);
  n.plain("simultaneous_open", &B::simultaneous_open, either(switch_words),
          "an inbound SYN may meet our own (RFC 5382 REQ-2)", &V6::simultaneous_open);
  n.plain("tcp_tracking", &B::tcp_tracking, one_of<TcpTracking>(), "how a TCP connection is followed");
  n.plain("syn_ack_after_syn", &B::syn_ack_after_syn, either(syn_ack_words),
          "our SYN with ACK on a flow that our SYN began; drop as some deep packet inspection");
  n.per_transport("hairpin", &T::hairpin, one_of<Hairpin>(),
                  "from inside to an own outside endpoint: which source the receiver sees (RFC 4787 §6)");
  n.plain("udp_timeout", &B::udp_timeout, duration(), "of a UDP mapping (RFC 4787 REQ-5)", &V6::udp_timeout);
  n.plain("udp_unreplied_timeout", &B::udp_unreplied_timeout, duration(), "before it is answered",
          &V6::udp_unreplied_timeout);
  n.plain("udp_stream_after", &B::udp_stream_after, duration(true),
          "age from which udp_timeout holds for what is answered (Linux: 2 s)");
  n.plain("udp_refresh", &B::udp_refresh, one_of<Refresh>(),
          "which direction keeps a UDP mapping alive (RFC 4787 REQ-6)", &V6::udp_refresh);
  n.plain("tcp_transitory_timeout", &B::tcp_transitory_timeout, duration(),
          "before a connection is established (RFC 5382 REQ-5)", &V6::tcp_transitory_timeout);
  n.plain("tcp_established_timeout", &B::tcp_established_timeout, duration(),
          "of an established connection (RFC 5382 REQ-5)", &V6::tcp_established_timeout);
  n.plain("tcp_closing_timeout", &B::tcp_closing_timeout, duration(), "after both FINs (RFC 7857 §2.1)",
          &V6::tcp_closing_timeout);
  n.plain("tcp_reset_timeout", &B::tcp_reset_timeout, duration(), "after a RST (RFC 7857 §2.2)",
          &V6::tcp_reset_timeout);
  n.plain("tcp_syn_received_timeout", &B::tcp_syn_received_timeout, duration(), "of tcp_tracking=linux");
  n.plain("tcp_close_wait_timeout", &B::tcp_close_wait_timeout, duration(), "of tcp_tracking=linux");
  n.plain("tcp_last_ack_timeout", &B::tcp_last_ack_timeout, duration(), "of tcp_tracking=linux");
  n.plain("icmp_refresh", &B::icmp_refresh, one_of<Refresh>(), "which direction keeps an echo alive");
  n.plain("icmp_timeout", &B::icmp_timeout, duration(), "of an echo (RFC 5508 REQ-2)", &V6::icmp_timeout);
  n.plain("icmp_errors", &B::icmp_errors, either(icmp_error_words),
          "errors about our packets (RFC 5508 REQ-3 to REQ-6)", &V6::icmp_errors);
  n.plain("echo", &B::echo, either(echo_words), "a ping to the outside address (RFC 1122 §3.2.2.6)");
  n.plain("ttl_expired", &B::ttl_expired, either(ttl_words),
          "a packet at its last hop, where IPv4 is translated (RFC 1812 §5.3.1)");
  n.plain("fragments", &B::fragments, one_of<Fragments>(), "of datagrams (RFC 4787 REQ-14)");
  n.plain("max_mappings", &B::max_mappings, number<std::uint32_t>(0, most_mappings),
          "of all hosts, 0 for no limit but the built-in one");
  n.plain("max_mappings_per_host", &B::max_mappings_per_host, number<std::uint32_t>(0, most_mappings),
          "0 for no limit (RFC 6888 REQ-4)");
  n.plain("when_full", &B::when_full, one_of<WhenFull>(), "what a full table does for a new mapping");
  n.plain("deny_list", &B::deny_list, duration(true),
          "for how long the sender of an unsolicited packet is cut off");
  n.plain("deny_key", &B::deny_key, one_of<DenyKey>(), "what of that sender is cut off");
  n.per_transport("blocked", &T::blocked, either(switch_words), "passes in neither direction",
                  &V6::OfTransport::blocked);
  n.per_transport("allowed_ports", &T::allowed_ports, port_list(), "remote ports that may be contacted", 2);
  n.infos.push_back(
      {"ipv6_transparent", "on, off", "everything passes over IPv6 (RFC 6092 REC-49)", false, false});
  n.add({"ipv6_transparent", false,
         [](const Token& token, B& b) {
           return read_word("unknown value", token, switch_words, b.ipv6.transparent);
         },
         [](const B& b) { return word_for(b.ipv6.transparent, switch_words); }});
  n.plain("captive", &B::captive, either(switch_words),
          "before login: nothing passes, the portal answers TCP to 80 and 443");
  return n;
}

const Notation& notation() {
  static const Notation all = make_notation();
  return all;
}

// Reading

bool is_mapping(std::string_view text) {
  return std::any_of(words<Mapping>.begin(), words<Mapping>.end(),
                     [&](const auto& word) { return word.text == text; });
}

template <typename Value>
Failure read_axis(const char* what, const Token& token, Value TransportRules::*field, Behaviour& behaviour) {
  Value value{};
  if (auto failure = read_word(what, token, words<Value>, value)) return failure;
  for (const auto transport : transports) behaviour.*transport.*field = value;
  return {};
}

Failure read_axes(const Token& token, Behaviour& behaviour) {
  const auto axes = split(token, '/');
  if (auto failure = read_axis("unknown mapping", axes[0], &TransportRules::mapping, behaviour))
    return failure;
  if (axes.size() < 2)
    return NotationError{
        "a filtering must follow the mapping: MAPPING/FILTERING", token.offset + token.text.size(), {}};
  if (auto failure = read_axis("unknown filtering", axes[1], &TransportRules::filtering, behaviour))
    return failure;
  if (axes.size() < 3) return {};
  if (auto failure = read_axis("unknown port assignment", axes[2], &TransportRules::ports, behaviour))
    return failure;
  if (axes.size() == 3) return {};
  return NotationError{"nothing may follow the port assignment but ,key=value", axes[3].offset - 1, {}};
}

struct Setting {
  const Key* key;
  Token value;
};

tl::expected<Setting, NotationError> find_setting(const Token& token, const std::vector<Setting>& given) {
  const auto& [keys, by_text, infos] = notation();
  const std::size_t equals = token.text.find('=');
  const Token name{token.text.substr(0, equals), token.offset};
  const auto found = by_text.find(name.text);
  if (found == by_text.end()) {
    std::vector<std::string> names;
    for (const auto& key : keys) names.push_back(key.text);
    return tl::unexpected(*unknown("unknown key", name, names));
  }
  if (equals == std::string_view::npos)
    return tl::unexpected(NotationError{
        "a key needs a value: " + std::string(name.text) + "=…", token.offset + token.text.size(), {}});
  const Key* const key = &keys[found->second];
  if (std::any_of(given.begin(), given.end(), [&](const Setting& s) { return s.key == key; }))
    return tl::unexpected(NotationError{"'" + std::string(name.text) + "' is given twice", name.offset, {}});
  return Setting{key, {token.text.substr(equals + 1), token.offset + equals + 1}};
}

/// The settings on top of what is there, those for all transports first.
Failure read_settings(std::span<const Token> tokens, Behaviour& behaviour) {
  std::vector<Setting> settings;
  for (const Token& token : tokens) {
    const auto setting = find_setting(token, settings);
    if (!setting) return setting.error();
    settings.push_back(*setting);
  }
  const Behaviour before = behaviour;
  for (const bool bare : {true, false})
    for (const auto& [key, value] : settings)
      if (key->bare_of_three == bare)
        if (auto failure = key->read(value, behaviour)) return failure;
  const auto given = [&](std::string_view text) {
    return std::any_of(settings.begin(), settings.end(),
                       [&](const Setting& s) { return s.key->text == text; });
  };
  if (before.udp_unreplied_timeout == before.udp_timeout && !given("udp_unreplied_timeout"))
    behaviour.udp_unreplied_timeout = behaviour.udp_timeout;
  if (before.tcp_closing_timeout == before.tcp_transitory_timeout && !given("tcp_closing_timeout"))
    behaviour.tcp_closing_timeout = behaviour.tcp_transitory_timeout;
  return {};
}

}  // namespace

tl::expected<Behaviour, NotationError> parse_behaviour(std::string_view text, const Presets& presets) {
  const auto pieces = split({text, 0}, ',');
  Behaviour behaviour;
  const auto preset =
      std::find_if(presets.begin(), presets.end(), [&](const Preset& p) { return p.name == pieces[0].text; });
  if (preset != presets.end()) {
    const auto named = parse_behaviour(preset->inline_form, Presets{});
    if (!named)
      return tl::unexpected(NotationError{
          "preset '" + preset->name + "' says '" + preset->inline_form + "': " + named.error().message,
          0,
          {}});
    behaviour = *named;
  } else if (pieces[0].text.find_first_of("/=") == std::string_view::npos && !is_mapping(pieces[0].text)) {
    std::vector<std::string> names;
    for (const Preset& p : presets) names.push_back(p.name);
    return tl::unexpected(*unknown("unknown NAT", pieces[0], names));
  } else if (auto failure = read_axes(pieces[0], behaviour)) {
    return tl::unexpected(*failure);
  }
  if (auto failure = read_settings(std::span(pieces).subspan(1), behaviour)) return tl::unexpected(*failure);
  return behaviour;
}

// Writing

std::string to_string(const Behaviour& behaviour) {
  Behaviour assumed;  // what a reader takes for granted after the axes
  for (const auto transport : transports) {
    TransportRules& rules = assumed.*transport;
    rules.mapping = behaviour.udp.mapping;
    rules.filtering = behaviour.udp.filtering;
    rules.ports = behaviour.udp.ports;
  }
  assumed.udp_unreplied_timeout = behaviour.udp_timeout;
  assumed.tcp_closing_timeout = behaviour.tcp_transitory_timeout;
  const auto& keys = notation().keys;
  std::string text = value_of("udp_mapping", behaviour) + "/" + value_of("udp_filtering", behaviour) + "/" +
                     value_of("udp_ports", behaviour);
  const auto write = [&](const Key& key) {
    const std::string value = key.write(behaviour);
    if (value != key.write(assumed)) text += "," + key.text + "=" + value;
  };
  for (const Key& key : keys) {
    if (key.is_part) continue;
    const std::string value = key.write(behaviour);
    // Three alike are said once, unless the bare word would not reach them all (unsolicited=reset).
    Behaviour reread = assumed;
    const bool says_all = key.parts.empty() || (!key.read({value, 0}, reread) && key.write(reread) == value);
    if (says_all)
      write(key);
    else
      for (const std::size_t part : key.parts) write(keys[part]);
  }
  return text;
}

const std::vector<KeyInfo>& notation_keys() { return notation().infos; }

std::string value_of(std::string_view key, const Behaviour& behaviour) {
  const auto found = notation().by_text.find(key);
  return found == notation().by_text.end() ? std::string() : notation().keys[found->second].write(behaviour);
}

}  // namespace flaresim::nat
