// Drives a libFuzzer target where there is no libFuzzer, with what GCC has: the code under test is built with
// -fsanitize-coverage=trace-pc, and an input that reaches new code is kept and changed further.
//   NAME SECONDS [SEED]        NAME FILE (one input, as a failure left it)

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" void __sanitizer_set_death_callback(void (*callback)());

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::size_t places = std::size_t{1} << 16, longest = 4096;
std::array<std::uint8_t, places> reached, known;
std::uintptr_t before = 0;
Bytes input;

void keep_the_input() {
  std::ofstream("crash-input", std::ios::binary)
      .write(reinterpret_cast<const char*>(input.data()), static_cast<long>(input.size()));
  std::fprintf(stderr, "the input is in ./crash-input\n");
}

/// Says whether some way from one place in the code to the next was new.
bool run() {
  reached.fill(0);
  LLVMFuzzerTestOneInput(input.data(), input.size());
  bool news = false;
  for (std::size_t i = 0; i < places; ++i) {
    news |= reached[i] && !known[i];
    known[i] |= reached[i];
  }
  return news;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}
  std::size_t dice(std::size_t below) { return random_() % below; }

  void change(Bytes& bytes, const std::vector<Bytes>& corpus) {
    for (std::size_t times = 1 + dice(6); times > 0; --times) change_once(bytes, corpus);
    if (bytes.size() > longest) bytes.resize(longest);
  }

 private:
  void change_once(Bytes& bytes, const std::vector<Bytes>& corpus) {
    const auto at = [&] { return bytes.begin() + static_cast<long>(dice(bytes.size() + 1)); };
    if (bytes.empty()) return bytes.resize(1 + dice(64), static_cast<std::uint8_t>(dice(256)));
    switch (dice(7)) {
      case 0:
        bytes[dice(bytes.size())] ^= static_cast<std::uint8_t>(1u << dice(8));
        break;
      case 1:
        bytes[dice(bytes.size())] = static_cast<std::uint8_t>(dice(256));
        break;
      case 2: {
        constexpr std::array<std::uint8_t, 6> edges{0, 1, 0x7f, 0x80, 0xfe, 0xff};
        bytes[dice(bytes.size())] = edges[dice(edges.size())];
        break;
      }
      case 3:
        bytes.insert(at(), 1 + dice(32), static_cast<std::uint8_t>(dice(256)));
        break;
      case 4: {
        const std::size_t first = dice(bytes.size());
        bytes.erase(bytes.begin() + static_cast<long>(first),
                    bytes.begin() + static_cast<long>(std::min(bytes.size(), first + 1 + dice(16))));
        break;
      }
      case 5: {  // again
        const std::size_t first = dice(bytes.size());
        const Bytes piece(bytes.begin() + static_cast<long>(first),
                          bytes.begin() + static_cast<long>(std::min(bytes.size(), first + 1 + dice(80))));
        bytes.insert(at(), piece.begin(), piece.end());
        break;
      }
      default: {  // a piece of another input
        if (corpus.empty()) break;
        const Bytes& other = corpus[dice(corpus.size())];
        const std::size_t first = dice(other.size() + 1);
        bytes.insert(at(), other.begin() + static_cast<long>(first), other.end());
      }
    }
  }

  std::mt19937_64 random_;
};

int replay(const char* path) {
  std::ifstream file(path, std::ios::binary);
  input.assign(std::istreambuf_iterator<char>(file), {});
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return 0;
}

}  // namespace

// So that the input is kept. The runtime finds it by name.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "handle_abort=1";
}

extern "C" void __sanitizer_cov_trace_pc() {
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  reached[(here ^ before) % places] = 1;
  before = here >> 1;
}

/// Inputs that a target knows to be of interest; it may have none.
std::vector<Bytes> __attribute__((weak)) first_inputs() { return {}; }

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: %s SECONDS [SEED] | FILE\n", argv[0]), 2;
  char* end = nullptr;
  const double seconds = std::strtod(argv[1], &end);
  if (*end != 0) return replay(argv[1]);
  __sanitizer_set_death_callback(keep_the_input);
  Mutator mutator(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  std::vector<Bytes> corpus = first_inputs();
  for (const Bytes& first : corpus) input = first, run();
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::uint64_t runs = 0;
  for (; runs % 64 != 0 || std::chrono::steady_clock::now() < until; ++runs) {
    input = corpus.empty() ? Bytes{} : corpus[mutator.dice(corpus.size())];
    mutator.change(input, corpus);
    if (run()) corpus.push_back(input);
  }
  std::printf("%llu inputs, %zu of them reached something new, %ld ways through the code\n",
              static_cast<unsigned long long>(runs), corpus.size(),
              std::count_if(known.begin(), known.end(), [](auto way) { return way != 0; }));
}
