#include "tests/sim/nat/random_behaviour.h"

#include <array>
#include <cstdlib>
#include <set>
#include <vector>

#include "sim/nat/behaviour.h"

namespace flaresim::nat::test {

namespace {

template <typename Values>
auto one_of(const Values& values, const Dice& dice) {
  return values[dice(static_cast<std::uint32_t>(std::size(values)))];
}

std::vector<std::string> words_of(const std::string& values) {
  std::vector<std::string> words;
  for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 2) {
    end = values.find(", ", begin);
    words.push_back(values.substr(begin, end - begin));
  }
  return words;
}

std::string number(const std::string& values, const Dice& dice) {
  const auto least = std::strtoul(values.c_str() + sizeof("a number from ") - 1, nullptr, 10);
  return std::to_string(least + one_of(std::array{0, 0, 1, 2, 3, 4, 7, 8, 16, 31, 100}, dice));
}

std::string range(const Dice& dice) {
  const int first = one_of(std::array{1, 1024, 4999, 5000, 40000, 65535}, dice);
  const int last = first + one_of(std::array{0, 1, 3, 8, 15, 100, 20000}, dice);
  return std::to_string(first) + "-" + std::to_string(last > 65535 ? 65535 : last);
}

std::string value(const std::string& values, const Dice& dice) {
  const auto is = [&](const char* start) { return values.rfind(start, 0) == 0; };
  if (is("a duration, 0s")) return one_of(std::array{"0s", "1ms", "500ms", "2s", "5s", "1min"}, dice);
  if (is("a duration")) return one_of(std::array{"1ms", "500ms", "1s", "2s", "7s", "30s", "5min"}, dice);
  if (is("a number from ")) return number(values, dice);
  if (is("FIRST-LAST")) return range(dice);
  if (is("any, or PORT")) return one_of(std::array{"any", "80", "80+443", "443+1000+1001"}, dice);
  return one_of(words_of(values), dice);
}

/// Where nothing passes there is little to see.
bool silences(const std::string& key) { return key == "captive" || key == "blocked"; }

std::string setting(const KeyInfo& info, const Dice& dice) {
  std::string key = info.key;
  if (info.per_transport && dice(2) == 0) key = one_of(std::array{"udp_", "tcp_", "icmp_"}, dice) + key;
  if (info.ipv6 && dice(4) == 0) key = "ipv6_" + key;
  return key + "=" + value(info.values, dice);
}

}  // namespace

std::string random_behaviour(const Dice& dice) {
  const auto& keys = notation_keys();
  std::string text =
      value(keys[0].values, dice) + "/" + value(keys[1].values, dice) + "/" + value(keys[2].values, dice);
  for (std::uint32_t settings = dice(10); settings > 0; --settings) {
    const KeyInfo& info = one_of(keys, dice);
    if (silences(info.key) && dice(8) != 0) continue;
    const std::string more = text + "," + setting(info, dice);
    if (parse_behaviour(more, {})) text = more;
  }
  return text;
}

}  // namespace flaresim::nat::test
