#include "sim/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "sim/report/format.h"

namespace flaresim::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto bar_interval = 100ms;
constexpr auto first_line_after = 2s;
constexpr auto longest_silence = 60s;
constexpr std::uint64_t bar_width = 24;

std::string time_text(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace

Progress::Style Progress::style_of_terminal() {
  if (::isatty(STDERR_FILENO) == 0) return Style::lines;
  const auto* no_color = std::getenv("NO_COLOR");
  return no_color && *no_color ? Style::bar : Style::coloured_bar;
}

Progress::Progress(Style style, std::string unit, std::uint64_t total, std::uint64_t done)
    : style_(style), unit_(std::move(unit)), total_(total), done_(done), done_before_(done) {
  interval_ = style == Style::lines ? Clock::duration(first_line_after) : Clock::duration(bar_interval);
  next_draw_ = start_ + interval_;
}

void Progress::tick() {
  if (style_ == Style::quiet || Clock::now() < next_draw_) return;
  draw();
  if (style_ == Style::lines) interval_ = std::min<Clock::duration>(interval_ * 2, longest_silence);
  next_draw_ = Clock::now() + interval_;
}

void Progress::finish() {
  under_way_ = 0;
  if (style_ == Style::quiet) return;
  draw();
  if (style_ != Style::lines) fmt::print(stderr, "\n");
}

std::string Progress::state() const {
  const auto seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const auto rate = (static_cast<double>(done_ - done_before_) + under_way_) / std::max(seconds, 1e-3);
  auto text = under_way_ > 0
                  ? fmt::format("{:.2f}/{} {}", static_cast<double>(done_) + under_way_, total_, unit_)
                  : fmt::format("{}/{} {}, {:.1f}/s", done_, total_, unit_, rate);
  if (done_ < total_ && rate > 0)
    text += fmt::format(", {} left", time_text((static_cast<double>(total_ - done_) - under_way_) / rate));
  const auto punch = tally_.punch_rate();
  if (punch.value) text += fmt::format(", punch_rate {} {}", report::percent(punch), report::interval(punch));
  if (const auto errors = tally_.count(world::Outcome::unknown)) text += fmt::format(", {} errors", errors);
  return text;
}

void Progress::draw() {
  if (style_ == Style::lines) {
    fmt::print(stderr, "{}\n", state());
    return;
  }
  const auto share =
      total_ == 0 ? 1 : (static_cast<double>(done_) + under_way_) / static_cast<double>(total_);
  const auto filled = std::min(bar_width, static_cast<std::uint64_t>(share * static_cast<double>(bar_width)));
  const auto bar = std::string(filled, '#') + std::string(bar_width - filled, '.');
  const auto coloured = style_ == Style::coloured_bar;
  // Back to the start of the line; what the last state left behind it is erased (ECMA-48 EL).
  fmt::print(stderr, "\r[{}{}{}] {}\x1b[K", coloured ? "\x1b[32m" : "", bar, coloured ? "\x1b[0m" : "",
             state());
  std::fflush(stderr);
}

}  // namespace flaresim::cli
