#include "sim/nat/behaviour.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <functional>
#include <optional>
#include <span>
#include <utility>

namespace flaresim::nat {

namespace {

template <typename Value>
struct Word {
  std::string_view text;
  Value value;
};

constexpr Word<Mapping> mappings[] = {
    {"EIM", Mapping::endpoint_independent},
    {"ADM", Mapping::address_dependent},
    {"APDM", Mapping::address_and_port_dependent},
};
constexpr Word<Filtering> filterings[] = {
    {"EIF", Filtering::endpoint_independent},
    {"ADF", Filtering::address_dependent},
    {"APDF", Filtering::address_and_port_dependent},
};
constexpr Word<Ports> port_words[] = {
    {"preserve", Ports::preserve}, {"sequential", Ports::sequential}, {"random", Ports::random}};
constexpr Word<Refresh> refresh_words[] = {
    {"outbound", Refresh::outbound}, {"inbound", Refresh::inbound}, {"both", Refresh::both}};
constexpr Word<Reply> reply_words[] = {{"fresh", Reply::fresh}, {"session", Reply::session}};
constexpr Word<Unsolicited> unsolicited_words[] = {{"drop", Unsolicited::drop},
                                                   {"icmp", Unsolicited::icmp},
                                                   {"reset", Unsolicited::reset},
                                                   {"commit-state", Unsolicited::commit_state}};
constexpr Word<bool> switch_words[] = {{"on", true}, {"off", false}};
constexpr Word<double> unit_words[] = {{"ms", 0.001}, {"s", 1}, {"min", 60}, {"h", 3600}};

/// No router forgets later than this; it also keeps every deadline inside the range of `Time`.
constexpr Seconds longest_timeout = std::chrono::hours(24 * 365);

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
std::string nearest_word(std::string_view text, const std::vector<std::string_view>& words) {
  std::string_view best;
  std::size_t best_distance = (text.size() + 1) / 2 + 1;
  if (text.empty() || text.size() > 64) return {};
  for (const auto word : words) {
    const std::size_t distance = edit_distance(text, word);
    if (distance < best_distance && distance < std::max(text.size(), word.size()))
      best = word, best_distance = distance;
  }
  return std::string(best);
}

template <typename Words>
std::vector<std::string_view> texts(const Words& words) {
  std::vector<std::string_view> all;
  for (const auto& word : words) all.push_back(word.text);
  return all;
}

/// A piece of the notation and where it stands.
struct Token {
  std::string_view text;
  std::size_t offset;
};

using Failure = std::optional<NotationError>;

Failure unknown(const char* what, const Token& token, const std::vector<std::string_view>& words) {
  return NotationError{std::string(what) + " '" + std::string(token.text) + "'", token.offset,
                       nearest_word(token.text, words)};
}

template <typename Value, std::size_t size>
Failure read_word(const char* what, const Token& token, const Word<Value> (&words)[size], Value& into) {
  for (const auto& word : words) {
    if (word.text != token.text) continue;
    into = word.value;
    return {};
  }
  return unknown(what, token, texts(words));
}

double in_seconds(double count, double unit_seconds) {
  return unit_seconds < 1 ? count / 1000 : count * unit_seconds;  // exact for whole milliseconds, too
}

Failure read_duration(const Token& token, Seconds& into) {
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
  if (!(value.count() > 0 && value <= longest_timeout))
    return NotationError{"a timeout is more than 0 and at most 8760h", token.offset, {}};
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

template <typename Value, std::size_t size>
std::string_view word_for(Value value, const Word<Value> (&words)[size]) {
  return std::find_if(std::begin(words), std::end(words), [&](const auto& w) { return w.value == value; })
      ->text;
}

Failure read_udp_unsolicited(const Token& token, Behaviour& behaviour) {
  Unsolicited value{};
  if (auto failure = read_word("unknown answer", token, unsolicited_words, value)) return failure;
  if (value == Unsolicited::reset) return NotationError{"UDP has no reset", token.offset, {}};
  behaviour.udp_unsolicited = value;
  return {};
}

Failure read_both_unsolicited(const Token& token, Behaviour& behaviour) {
  if (auto failure = read_udp_unsolicited(token, behaviour)) return failure;
  behaviour.tcp_unsolicited = behaviour.udp_unsolicited;
  return {};
}

/// One key of the notation: how to read it, and how to write it.
struct Key {
  std::string_view text;
  std::function<Failure(const Token&, Behaviour&)> read;
  std::function<std::string(const Behaviour&)> write;
};

Key duration_key(std::string_view text, Seconds Behaviour::*field) {
  return {text, [field](const Token& token, Behaviour& b) { return read_duration(token, b.*field); },
          [field](const Behaviour& b) { return duration_text(b.*field); }};
}

template <typename Value, std::size_t size>
Key word_key(std::string_view text, Value Behaviour::*field, const Word<Value> (&words)[size]) {
  return {text,
          [field, &words](const Token& token, Behaviour& b) {
            return read_word("unknown value", token, words, b.*field);
          },
          [field, &words](const Behaviour& b) { return std::string(word_for(b.*field, words)); }};
}

/// A key that is absent unless it is given.
template <typename Value, std::size_t size>
Key optional_word_key(std::string_view text, std::optional<Value> Behaviour::*field,
                      const Word<Value> (&words)[size]) {
  return {text,
          [field, &words](const Token& token, Behaviour& b) {
            return read_word("unknown value", token, words, (b.*field).emplace());
          },
          [field, &words](const Behaviour& b) {
            return b.*field ? std::string(word_for(*(b.*field), words)) : std::string();
          }};
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = {
      word_key("translate", &Behaviour::translates, switch_words),
      word_key("reply", &Behaviour::reply, reply_words),
      optional_word_key("tcp_mapping", &Behaviour::tcp_mapping, mappings),
      optional_word_key("tcp_ports", &Behaviour::tcp_ports, port_words),
      word_key("udp_blocked", &Behaviour::udp_blocked, switch_words),
      duration_key("udp_timeout", &Behaviour::udp_timeout),
      duration_key("udp_unreplied_timeout", &Behaviour::udp_unreplied_timeout),
      word_key("udp_refresh", &Behaviour::udp_refresh, refresh_words),
      duration_key("tcp_transitory_timeout", &Behaviour::tcp_transitory_timeout),
      duration_key("tcp_established_timeout", &Behaviour::tcp_established_timeout),
      duration_key("tcp_reset_timeout", &Behaviour::tcp_reset_timeout),
      word_key("simultaneous_open", &Behaviour::tcp_simultaneous_open, switch_words),
      {"unsolicited", read_both_unsolicited, nullptr},
      {"udp_unsolicited", read_udp_unsolicited,
       [](const Behaviour& b) { return std::string(word_for(b.udp_unsolicited, unsolicited_words)); }},
      word_key("tcp_unsolicited", &Behaviour::tcp_unsolicited, unsolicited_words),
  };
  return all;
}

/// Cuts `text` at each of `separators`, and remembers where the pieces stood.
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

Failure read_axes(const Token& token, Behaviour& behaviour) {
  const auto axes = split(token, '/');
  if (auto failure = read_word("unknown mapping", axes[0], mappings, behaviour.mapping)) return failure;
  if (axes.size() < 2)
    return NotationError{
        "a filtering must follow the mapping: MAPPING/FILTERING", token.offset + token.text.size(), {}};
  if (auto failure = read_word("unknown filtering", axes[1], filterings, behaviour.filtering)) return failure;
  if (axes.size() < 3) return {};
  if (auto failure = read_word("unknown port assignment", axes[2], port_words, behaviour.ports))
    return failure;
  if (axes.size() == 3) return {};
  return NotationError{"nothing may follow the port assignment but ,key=value", axes[3].offset - 1, {}};
}

Failure read_setting(const Token& token, Behaviour& behaviour, std::vector<std::string_view>& given) {
  const std::size_t equals = token.text.find('=');
  const Token name{token.text.substr(0, equals), token.offset};
  const auto key =
      std::find_if(keys().begin(), keys().end(), [&](const Key& k) { return k.text == name.text; });
  if (key == keys().end()) return unknown("unknown key", name, texts(keys()));
  if (equals == std::string_view::npos)
    return NotationError{
        "a key needs a value: " + std::string(name.text) + "=…", token.offset + token.text.size(), {}};
  if (std::find(given.begin(), given.end(), name.text) != given.end())
    return NotationError{"'" + std::string(name.text) + "' is given twice", name.offset, {}};
  given.push_back(name.text);
  return key->read({token.text.substr(equals + 1), token.offset + equals + 1}, behaviour);
}

tl::expected<Behaviour, NotationError> parse_inline(std::string_view text) {
  Behaviour behaviour;
  std::vector<std::string_view> given;
  const auto pieces = split({text, 0}, ',');
  if (auto failure = read_axes(pieces[0], behaviour)) return tl::unexpected(*failure);
  for (const Token& piece : std::span(pieces).subspan(1))
    if (auto failure = read_setting(piece, behaviour, given)) return tl::unexpected(*failure);
  if (std::find(given.begin(), given.end(), "udp_unreplied_timeout") == given.end())
    behaviour.udp_unreplied_timeout = behaviour.udp_timeout;
  return behaviour;
}

}  // namespace

Behaviour::Behaviour()
    : udp_timeout(300),               // RFC 4787 REQ-5c, the recommended value
      udp_unreplied_timeout(300),     // the RFC makes no difference
      tcp_transitory_timeout(240),    // RFC 5382 REQ-5: 4 min
      tcp_established_timeout(7440),  // RFC 5382 REQ-5: 2 h 4 min
      tcp_reset_timeout(240)          // RFC 7857 §2.2: 4 min
{}

tl::expected<Behaviour, NotationError> parse_behaviour(std::string_view text) {
  std::vector<std::string_view> names;
  for (const Preset& preset : presets()) {
    if (preset.name == text) return parse_inline(preset.inline_form);
    names.push_back(preset.name);
  }
  const bool is_inline = text.find_first_of("/,=") != std::string_view::npos ||
                         std::any_of(std::begin(mappings), std::end(mappings),
                                     [&](const auto& word) { return word.text == text; });
  if (!is_inline) return tl::unexpected(*unknown("unknown NAT", {text, 0}, names));
  return parse_inline(text);
}

std::string to_string(const Behaviour& behaviour) {
  std::string text = std::string(word_for(behaviour.mapping, mappings)) + "/" +
                     std::string(word_for(behaviour.filtering, filterings)) + "/" +
                     std::string(word_for(behaviour.ports, port_words));
  Behaviour assumed;  // what a reader would take for granted
  assumed.udp_unreplied_timeout = behaviour.udp_timeout;
  for (const Key& key : keys()) {
    if (!key.write) continue;
    const std::string value = key.write(behaviour);
    if (value != key.write(assumed)) text += "," + std::string(key.text) + "=" + value;
  }
  return text;
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"full-cone", "one outside port per inside port, open to everybody", "EIM/EIF"},
      {"address-restricted", "one outside port per inside port, open to the addresses it has contacted",
       "EIM/ADF"},
      {"port-restricted", "one outside port per inside port, open to the endpoints it has contacted",
       "EIM/APDF"},
      {"symmetric", "a random outside port for every remote endpoint, open to that endpoint only",
       "APDM/APDF/random"},
      {"open", "a public address: no translation and no filter", "EIM/EIF,translate=off"},
      {"udp-blocked", "no UDP in either direction; TCP as port-restricted", "EIM/APDF,udp_blocked=on"},
      // Timers: net.netfilter.nf_conntrack_{udp_timeout, udp_timeout_stream, tcp_timeout_syn_sent,
      // tcp_timeout_established, tcp_timeout_close}, their defaults in Linux 6.
      {"linux", "nftables masquerade with an accepting INPUT chain",
       "APDM/APDF/preserve,reply=session,udp_timeout=2min,udp_unreplied_timeout=30s,udp_refresh=both,"
       "tcp_transitory_timeout=2min,tcp_established_timeout=120h,tcp_reset_timeout=10s,"
       "udp_unsolicited=commit-state,tcp_unsolicited=reset"},
      {"linux-input-drop", "nftables masquerade with an INPUT chain that drops",
       "APDM/APDF/preserve,reply=session,udp_timeout=2min,udp_unreplied_timeout=30s,udp_refresh=both,"
       "tcp_transitory_timeout=2min,tcp_established_timeout=120h,tcp_reset_timeout=10s"},
  };
  return all;
}

}  // namespace flaresim::nat
