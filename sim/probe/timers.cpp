#include <algorithm>
#include <functional>

#include "sim/probe/ground.h"

namespace flaresim::probe {
namespace {

using std::chrono::duration;
using std::chrono::seconds;

constexpr std::uint16_t port = 40000;
/// No stream takes longer to become one.
constexpr io::Duration longest_talk = std::chrono::minutes(5);

double in_seconds(io::Duration time) { return duration<double>(time).count(); }

/// The least time at which `lives` no longer holds, by doubling and halving; `longest` when it always does.
io::Duration first_death(const std::function<bool(io::Duration)>& lives, const Options& options) {
  const auto resolution = options.timer_resolution;
  io::Duration low{}, high = std::min<io::Duration>(seconds(1), options.longest_timer);
  while (lives(high)) {
    if (high >= options.longest_timer) return options.longest_timer;
    low = high;
    high = std::min(2 * high, options.longest_timer);
  }
  while (high - low > resolution) {
    auto middle = low + (high - low) / 2;
    middle -= middle % resolution;
    if (middle <= low) middle = low + resolution;
    (lives(middle) ? low : high) = middle;
  }
  return high;
}

Finding lifetime(const std::string& key, io::Duration found, const Options& options) {
  if (found == options.longest_timer) return untold(key, "it outlives the longest timer that was looked for");
  return told(key, in_seconds(found));
}

using Say = std::function<bool(Bench&, Flow&, io::TimePoint opened_at)>;

/// Something is said on a fresh flow, nothing for a while, and then the remote speaks.
class Silence {
 public:
  Silence(const Ground& ground, Say before, Say after)
      : ground_(ground), before_(std::move(before)), after_(std::move(after)) {}

  bool operator()(io::Duration silent) const {
    auto bench = ground_.bench();
    const auto opened_at = bench.now();
    auto flow = bench.open(bench.inside(0, port), bench.remote(0, 0));
    if (!flow || !before_(bench, *flow, opened_at)) return false;
    const auto last_said_at = bench.now() - bench.lab().longest_crossing();
    bench.wait_until(last_said_at + silent);
    return after_(bench, *flow, opened_at);
  }

 private:
  const Ground& ground_;
  Say before_, after_;
};

bool nothing(Bench&, Flow&, io::TimePoint) { return true; }
bool hears(Bench& bench, Flow& flow, io::TimePoint) { return bench.talk_in(flow); }
/// An answer that is as old as the flow.
bool replied_at_once(Bench& bench, Flow& flow, io::TimePoint) {
  return bench.talk_in(flow) && bench.talk_both(flow);
}

/// Both sides speak until then, often enough that `shortest` never passes in silence.
bool converse(Bench& bench, Flow& flow, io::TimePoint until, io::Duration shortest) {
  const auto pause = std::max<io::Duration>(shortest / 4, 4 * bench.lab().longest_crossing());
  if (!bench.talk_in(flow)) return false;
  while (bench.now() < until) {
    bench.wait_until(std::min(until, bench.now() + pause));
    if (!bench.talk_both(flow)) return false;
  }
  return true;
}

/// Whether a packet in this direction, three quarters through the life of a stream, lets it live on.
bool is_refreshed_by(const Ground& ground, io::Duration shortest, io::Duration life, bool outbound) {
  auto bench = ground.bench();
  const auto talk_until = bench.now() + longest_talk;
  auto flow = bench.open(bench.inside(0, port), bench.remote(0, 0));
  if (!flow || !converse(bench, *flow, talk_until, shortest)) return false;
  const auto from = bench.now();
  bench.wait_until(from + life / 4 * 3);
  if (!(outbound ? bench.talk_out(*flow) : bench.talk_in(*flow))) return false;
  bench.wait_until(from + life + life / 4);
  return bench.talk_in(*flow);
}

Finding refresh(const Ground& ground, io::Duration shortest, io::Duration life) {
  const bool out = is_refreshed_by(ground, shortest, life, true);
  const bool in = is_refreshed_by(ground, shortest, life, false);
  const std::string key = "refresh";
  if (out && in) return told(key, std::string("both"));
  if (!out && !in) return untold(key, "neither direction");
  return told(key, std::string(out ? "outbound" : "inbound"));
}

/// How old a flow is when both sides' speaking gives it a stream's life.
Finding stream_after(const Ground& ground, io::Duration unreplied, io::Duration replied,
                     io::Duration stream) {
  const std::string key = "stream_after_s";
  if (stream == unreplied) return untold(key, "a stream lives no longer than what is unreplied");
  if (replied == stream) return told(key, 0.0);
  const auto between = unreplied + (stream - unreplied) / 2;
  const bool longer = stream > unreplied;
  const auto is_no_stream = [&](io::Duration talk) {
    const Silence speaks(
        ground,
        [&](Bench& bench, Flow& flow, io::TimePoint opened_at) {
          return converse(bench, flow, opened_at + talk, std::min(unreplied, stream));
        },
        hears);
    return speaks(between) != longer;
  };
  auto options = ground.options;
  options.longest_timer = longest_talk;
  return told(key, in_seconds(first_death(is_no_stream, options)));
}

std::vector<Finding> without_timers(const std::vector<std::string>& keys, const std::string& why) {
  std::vector<Finding> all;
  for (const auto& key : keys) all.push_back(untold(key, why));
  return all;
}

bool answered(Bench& bench, Flow& flow, io::TimePoint) { return bench.answer(flow); }
bool acknowledged(Bench& bench, Flow& flow, io::TimePoint) {
  return bench.answer(flow) && bench.segment_out(flow, flag::ack);
}
bool closed(Bench& bench, Flow& flow, io::TimePoint at) {
  return acknowledged(bench, flow, at) && bench.segment_out(flow, flag::fin | flag::ack) &&
         bench.segment_in(flow, flag::fin | flag::ack) && bench.segment_out(flow, flag::ack);
}
bool half_closed(Bench& bench, Flow& flow, io::TimePoint at) {
  return acknowledged(bench, flow, at) && bench.segment_out(flow, flag::fin | flag::ack) &&
         bench.segment_in(flow, flag::ack);
}
bool closed_unacknowledged(Bench& bench, Flow& flow, io::TimePoint at) {
  return half_closed(bench, flow, at) && bench.segment_in(flow, flag::fin | flag::ack);
}
bool reset_by_remote(Bench& bench, Flow& flow, io::TimePoint at) {
  return acknowledged(bench, flow, at) && bench.segment_in(flow, flag::rst | flag::ack);
}
bool hears_ack(Bench& bench, Flow& flow, io::TimePoint) { return bench.segment_in(flow, flag::ack); }

constexpr auto no_table = "everything passes: there is no table that could forget";

}  // namespace

bool needs_no_table(const Ground& ground) {
  if (ground.translates) return false;
  auto bench = ground.bench();
  return bool(bench.knock(bench.remote(0, 0), bench.inside(0, port)));
}

std::vector<Finding> udp_timers(const Ground& ground) {
  if (needs_no_table(ground))
    return without_timers({"mapping_lifetime_s", "unreplied_lifetime_s", "stream_after_s", "refresh"},
                          no_table);
  const auto& options = ground.options;
  const auto unreplied = first_death(Silence(ground, nothing, hears), options);
  const auto replied = first_death(Silence(ground, replied_at_once, hears), options);
  const auto shortest = std::min(unreplied, replied);
  const auto talks = [&](Bench& bench, Flow& flow, io::TimePoint opened_at) {
    return converse(bench, flow, opened_at + longest_talk, shortest);
  };
  const auto stream = first_death(Silence(ground, talks, hears), options);
  return {lifetime("mapping_lifetime_s", stream, options),
          lifetime("unreplied_lifetime_s", unreplied, options),
          stream_after(ground, unreplied, replied, stream), refresh(ground, shortest, stream)};
}

std::vector<Finding> tcp_timers(const Ground& ground) {
  const std::vector<std::string> keys = {
      "mapping_lifetime_s",  "transitory_lifetime_s", "syn_received_lifetime_s", "half_closed_lifetime_s",
      "last_ack_lifetime_s", "closing_lifetime_s",    "reset_lifetime_s"};
  if (needs_no_table(ground)) return without_timers(keys, no_table);
  const auto& options = ground.options;
  const auto found = [&](std::size_t key, Say before, Say after) {
    return lifetime(keys[key], first_death(Silence(ground, std::move(before), std::move(after)), options),
                    options);
  };
  return {found(0, acknowledged, hears),
          found(1, nothing, answered),
          found(2, answered, hears_ack),
          found(3, half_closed, hears_ack),
          found(4, closed_unacknowledged, hears_ack),
          found(5, closed, hears_ack),
          found(6, reset_by_remote, hears_ack)};
}

Finding echo_timer(const Ground& ground) {
  const std::string key = "mapping_lifetime_s";
  if (needs_no_table(ground)) return untold(key, no_table);
  return lifetime(key, first_death(Silence(ground, nothing, hears), ground.options), ground.options);
}

}  // namespace flaresim::probe
