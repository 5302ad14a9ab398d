#include "tests/sim/probe/declared.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace flaresim::probe {
namespace {

using nat::Behaviour;
using nat::Contention;
using nat::Filtering;
using nat::Mapping;
using nat::Ports;
using nat::Translate;
using nat::Unsolicited;

constexpr std::uint16_t tried[] = {22,   25,   53,   80,   123,  443,  500,  993,
                                   1194, 3478, 4001, 4500, 5060, 8080, 8443, 40001};
constexpr double longest_timer_s = 366.0 * 24 * 3600;

template <typename Enum, std::size_t size>
std::string word(Enum value, const std::array<const char*, size>& words) {
  return words.at(static_cast<std::size_t>(value));
}

std::string word(Mapping m) { return word(m, std::array{"EIM", "ADM", "APDM"}); }
std::string word(Filtering f) { return word(f, std::array{"EIF", "ADF", "APDF"}); }

/// One transport of one family, as it is to be seen.
class Judge {
 public:
  /// `box` and `rules` are those of the family; `translate` is that of the box as a whole.
  Judge(Expected& into, std::string section, const Behaviour& box, const nat::TransportRules& rules, bool v6,
        Translate translate)
      : into_(into), section_(std::move(section)), box_(box), rules_(rules), v6_(v6), translate_(translate) {}

  void all() {
    const auto ports = passing();
    put("remote_ports", ports.empty() ? "none" : ports);
    if (ports.empty()) return;
    two_ports_ = !icmp() && (ports == "any" || ports.find('+') != std::string::npos);
    put_or_hide("filtering", rules_.filtering == Filtering::endpoint_independent || two_ports_,
                word(rules_.filtering));
    if (!v6_) translation();
    if (!icmp()) strangers();
    if (section_.ends_with("tcp")) tcp();
    if (translate_ != Translate::fixed) timers();
  }

 private:
  bool icmp() const { return section_.ends_with("icmp"); }
  bool udp() const { return section_.ends_with("udp"); }
  bool translates() const { return !v6_ && translate_ == Translate::on; }
  bool open() const {
    return translate_ == Translate::off && rules_.filtering == Filtering::endpoint_independent;
  }
  bool preserves() const { return rules_.ports == Ports::preserve; }
  bool keeps_taken_ports() const { return preserves() && rules_.contention == Contention::overload; }
  bool chooses_ports() const { return !keeps_taken_ports() && !refuses_taken_ports(); }
  bool refuses_taken_ports() const { return preserves() && rules_.contention == Contention::drop; }

  void put(const std::string& key, Value value) { into_[section_ + "." + key] = std::move(value); }
  void hide(const std::string& key) { into_[section_ + "." + key] = std::nullopt; }
  void put_or_hide(const std::string& key, bool shows, Value value) {
    shows ? put(key, std::move(value)) : hide(key);
  }

  std::string passing() const {
    if (rules_.blocked || box_.captive) return "";
    if (rules_.allowed_ports.empty() || icmp()) return "any";
    std::string text;
    for (const auto port : tried)
      if (std::find(rules_.allowed_ports.begin(), rules_.allowed_ports.end(), port) !=
          rules_.allowed_ports.end())
        text += (text.empty() ? "" : "+") + std::to_string(port);
    return text;
  }

  // What is told of the mapping; empty when it does not show.
  std::string mapping() const {
    if (!translates() || keeps_taken_ports()) return "";
    const int m = static_cast<int>(rules_.mapping), f = static_cast<int>(rules_.filtering);
    if (refuses_taken_ports()) {
      // A port is refused to others towards all remotes that neither the mapping nor the filter tells apart.
      const int apart = std::min(m, f);
      if (apart == 0) return f == 0 ? "" : "EIM";
      if (!two_ports_) return "";
      if (apart == 2) return "APDM";
      return f == 2 ? "ADM" : "";
    }
    if (m == 0) return "EIM";
    return two_ports_ ? word(rules_.mapping) : "";
  }

  void translation() {
    const auto told_mapping = mapping();
    put_or_hide("mapping", !told_mapping.empty(), told_mapping);
    if (!translates()) return translate_not();
    if (rules_.reuse && preserves() && !told_mapping.empty() &&
        rules_.mapping == Mapping::address_and_port_dependent &&
        rules_.filtering == Filtering::address_and_port_dependent && chooses_ports())
      put("reuse", "on");
    put("port_assignment", word(rules_.ports, std::array{"preserve", "sequential", "random"}));
    put_or_hide("contention", preserves(),
                word(rules_.contention, std::array{"random", "sequential", "overload", "drop"}));
    const bool chooses = !preserves() || rules_.contention == Contention::random ||
                         rules_.contention == Contention::sequential;
    const bool in_order =
        preserves() ? rules_.contention == Contention::sequential : rules_.ports == Ports::sequential;
    const bool skips = preserves() && rules_.parity && rules_.step % 2 == 1;
    put_or_hide("step", chooses && in_order, double(skips ? 2 * rules_.step : rules_.step));
    const bool even = preserves() && in_order && (rules_.step % 2 == 0 || rules_.parity);
    put_or_hide("parity", chooses && !even, std::string(rules_.parity ? "on" : "off"));
    const bool pairs_show = chooses && !(in_order && (preserves() || rules_.step == 1));
    put_or_hide("contiguity", pairs_show, std::string(rules_.contiguity ? "on" : "off"));
    const int m = static_cast<int>(rules_.mapping), f = static_cast<int>(rules_.filtering);
    // A SYN with ACK begins no connection for Linux, so that no fresh answer leaves.
    const bool leaves = section_ != "tcp" || rules_.reply == nat::Reply::session ||
                        box_.tcp_tracking == nat::TcpTracking::rfc;
    put_or_hide("reply", leaves && m > f && !told_mapping.empty(),
                std::string(rules_.reply == nat::Reply::session ? "session" : "fresh"));
    if (!icmp()) hairpin();
  }

  void translate_not() {
    if (translate_ != Translate::off) return;
    for (const auto* key : {"port_assignment", "step", "contention", "parity", "contiguity", "reply"})
      hide(key);
    if (!icmp()) hide("hairpin");
  }

  /// Only where silence means something, and a first packet that is refused does no harm.
  void hairpin() {
    if (!rules_.allowed_ports.empty()) return;
    const bool open_filter = rules_.filtering == Filtering::endpoint_independent;
    const bool foretellable = mapping() == "EIM" || preserves();
    const bool strangers_are_left_alone =
        rules_.unsolicited == Unsolicited::drop || rules_.unsolicited == Unsolicited::delayed_icmp;
    if (rules_.hairpin == nat::Hairpin::refuse && (open_filter || strangers_are_left_alone))
      return put("hairpin", "refuse");
    const bool harmed = rules_.unsolicited == Unsolicited::commit_state ||
                        rules_.unsolicited == Unsolicited::reset ||
                        rules_.unsolicited == Unsolicited::accept || box_.deny_list.count() > 0 ||
                        (section_ == "tcp" && !box_.simultaneous_open);
    if (!open_filter && harmed) return;
    put_or_hide("hairpin", open_filter || foretellable,
                word(rules_.hairpin, std::array{"off", "refuse", "internal", "external"}));
  }

  void strangers() {
    const std::string key = section_.ends_with("tcp") ? "unsolicited_syn" : "unsolicited";
    put("deny_list_s", open() ? 0.0 : box_.deny_list.count());
    const bool denies = !open() && box_.deny_list.count() > 0;
    put_or_hide("deny_key", denies && two_ports_,
                std::string(box_.deny_key == nat::DenyKey::address ? "address" : "endpoint"));
    if (open()) return hide(key);
    if (translate_ == Translate::fixed) return;
    switch (rules_.unsolicited) {
      case Unsolicited::drop:
        return put(key, "drop");
      case Unsolicited::icmp:
        return put(key, "icmp");
      case Unsolicited::icmp_port:
        return put(key, "icmp-port");
      case Unsolicited::delayed_icmp:
        put(key, udp() ? "drop" : "delayed-icmp");
        return put_or_hide("unsolicited_delay_s", !udp(), box_.unsolicited_delay.count());
      case Unsolicited::reset:
        return put(key, "reset");
      case Unsolicited::accept:
        if (translates() && !udp()) put(key, "accept");
        return;
      case Unsolicited::commit_state:
        if (!translates()) return put(key, "drop");
        if (box_.port_block == 0 && commitment_shows()) put(key, "commit-state");
    }
  }

  bool commitment_shows() const {
    // What is committed is forgotten before the denial ends.
    if (box_.deny_list >= (udp() ? box_.udp_unreplied_timeout : box_.tcp_transitory_timeout)) return false;
    return rules_.ports != Ports::random ||
           (mapping() == "EIM" && rules_.filtering != Filtering::endpoint_independent);
  }

  void tcp() {
    if (open()) return;
    put("simultaneous_open", box_.simultaneous_open ? "on" : "off");
    const bool crosses = box_.simultaneous_open;
    if (crosses) put("syn_ack_after_syn", box_.syn_ack_after_syn ? "pass" : "drop");
    put("out_of_state", word(box_.out_of_state, std::array{"drop", "reset", "pick-up", "leak"}));
  }

  void timer(const std::string& key, nat::Seconds seconds) {
    put_or_hide(key, !open() && seconds.count() < longest_timer_s, seconds.count());
  }
  void timers() {
    if (udp()) {
      timer("mapping_lifetime_s", box_.udp_timeout);
      timer("unreplied_lifetime_s", box_.udp_unreplied_timeout);
      put_or_hide("stream_after_s", !open() && box_.udp_timeout != box_.udp_unreplied_timeout,
                  box_.udp_stream_after.count());
      put_or_hide("refresh", !open(), word(box_.udp_refresh, std::array{"outbound", "inbound", "both"}));
    } else if (icmp()) {
      timer("mapping_lifetime_s", box_.icmp_timeout);
    } else {
      timer("mapping_lifetime_s", box_.tcp_established_timeout);
      timer("transitory_lifetime_s", box_.tcp_transitory_timeout);
      const bool linux_like = box_.tcp_tracking == nat::TcpTracking::conntrack;
      timer("syn_received_lifetime_s",
            linux_like ? box_.tcp_syn_received_timeout : box_.tcp_transitory_timeout);
      timer("half_closed_lifetime_s",
            linux_like ? box_.tcp_close_wait_timeout : box_.tcp_established_timeout);
      timer("last_ack_lifetime_s", linux_like ? box_.tcp_last_ack_timeout : box_.tcp_closing_timeout);
      timer("closing_lifetime_s", box_.tcp_closing_timeout);
      timer("reset_lifetime_s", box_.tcp_reset_timeout);
    }
  }

  Expected& into_;
  const std::string section_;
  const Behaviour& box_;
  const nat::TransportRules& rules_;
  const bool v6_;
  const Translate translate_;
  bool two_ports_ = false;
};

void whole_box(Expected& into, const Behaviour& box, const Options& options) {
  into["box.captive"] = std::string(box.captive ? "on" : "off");
  if (box.captive || box.translate == Translate::fixed) return;
  if (!into.contains("udp.filtering")) return;  // no UDP passes
  const bool open = box.udp.filtering == Filtering::endpoint_independent && box.translate == Translate::off;
  into["box.translate"] = std::string(box.translate == Translate::on ? "on" : "off");
  into["box.icmp_errors"] = std::string(box.icmp_errors || open ? "translate" : "drop");
  // Where nothing is translated the box has no address to answer from.
  const bool has_address = box.translate == Translate::on;
  into["box.ttl_expired"] = std::string(box.ttl_expired && has_address ? "icmp" : "drop");
  into["box.checksums"] = std::string("valid");
  into["box.hops"] = 1.0;
  if (!open) into["box.fragments"] = word(box.fragments, std::array{"order-free", "ordered", "drop"});
  if (box.translate == Translate::on && !box.icmp.blocked)
    into["box.echo"] = std::string(box.echo ? "answer" : "drop");

  auto per_host = double(options.flows), all = 8 * per_host;
  const auto at_most = [](double& limit, double other) {
    if (other > 0) limit = std::min(limit, other);
  };
  if (box.translate == Translate::on && box.port_block > 0)
    at_most(per_host, double(box.port_block) * box.port_blocks);
  at_most(per_host, box.max_mappings_per_host);
  all = std::min(all, 8 * per_host);
  at_most(all, box.max_mappings);
  at_most(per_host, std::max<double>(0, box.max_mappings));
  // Where ports are chosen from a range, that is a limit, too; it is judged where ports are.
  const auto range = box.udp.port_range.last - box.udp.port_range.first + 1;
  if (open || box.deny_list.count() > 0 || box.udp.ports != Ports::preserve || range < 60'000) return;
  into["box.flows"] = all;
  if (box.max_mappings_per_host > 0 && box.max_mappings == 0) into["box.flows_per_host"] = per_host;
  const bool limited = box.max_mappings > 0 || box.max_mappings_per_host > 0;
  if (limited && box.port_block == 0)
    into["box.when_full"] = all == 8.0 * double(options.flows)
                                ? std::nullopt
                                : std::optional<Value>(std::string(
                                      box.when_full == nat::WhenFull::drop ? "drop" : "evict-oldest"));
}

std::string shown(const std::optional<Value>& value) {
  if (!value) return "nothing";
  if (const auto* text = std::get_if<std::string>(&*value)) return *text;
  if (const auto* number = std::get_if<double>(&*value)) return std::to_string(*number);
  return std::get<bool>(*value) ? "yes" : "no";
}

/// Numbers that are measured in whole milliseconds.
bool same(const std::optional<Value>& a, const std::optional<Value>& b) {
  if (!a || !b || a->index() != b->index()) return a == b;
  const auto* number = std::get_if<double>(&*a);
  return number ? std::abs(*number - std::get<double>(*b)) < 0.0015 : *a == *b;
}

}  // namespace

Expected declared(const Behaviour& behaviour, const Options& options) {
  Expected into;
  Judge(into, "udp", behaviour, behaviour.udp, false, behaviour.translate).all();
  Judge(into, "tcp", behaviour, behaviour.tcp, false, behaviour.translate).all();
  Judge(into, "icmp", behaviour, behaviour.icmp, false, behaviour.translate).all();
  whole_box(into, behaviour, options);
  const auto v6 = nat::ipv6_side(behaviour);
  if (behaviour.translate == Translate::fixed) return into;
  Judge(into, "ipv6_udp", v6, v6.udp, true, behaviour.translate).all();
  Judge(into, "ipv6_tcp", v6, v6.tcp, true, behaviour.translate).all();
  Judge(into, "ipv6_icmp", v6, v6.icmp, true, behaviour.translate).all();
  return into;
}

std::vector<std::string> differences(const Expected& expected, const Report& report) {
  std::vector<std::string> found;
  for (const auto& [axis, value] : expected) {
    const auto dot = axis.find('.');
    const auto* finding = report.find(axis.substr(0, dot), axis.substr(dot + 1));
    const auto seen = finding ? finding->value : std::nullopt;
    if (!finding) {
      found.push_back(axis + " is not reported");
    } else if (!same(value, seen)) {
      found.push_back(axis + ": declared " + shown(value) + ", probed " + shown(seen));
    }
  }
  return found;
}

}  // namespace flaresim::probe
