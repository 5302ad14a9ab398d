#include "sim/cli/predictable_keys.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <stdexcept>
#include <utility>

namespace {

flaresim::io::Random* source = nullptr;  // null: GnuTLS's own
bool was_asked = false;

}  // namespace

/// GnuTLS 3.7 has no call that gives it another source. But it calls its own public function through the dynamic
/// linker, which finds this one first. Its generator below that would not do: it mixes the time in, and goes on from
/// one trial to the next.
extern "C" __attribute__((visibility("default"))) int gnutls_rnd(gnutls_rnd_level_t level, void* data,
                                                                 std::size_t size) {
  if (source != nullptr) {
    was_asked = true;
    source->fill({static_cast<std::uint8_t*>(data), size});
    return 0;
  }
  static const auto original = reinterpret_cast<decltype(&gnutls_rnd)>(::dlsym(RTLD_NEXT, "gnutls_rnd"));
  return original != nullptr ? original(level, data, size) : GNUTLS_E_RANDOM_FAILED;
}

namespace flaresim::cli {

PredictableKeys::PredictableKeys(io::Random random) : random_(std::move(random)) {
  if (source != nullptr) throw std::logic_error("predictable keys twice at a time");
  was_asked = false;
  source = &random_;
  gnutls_datum_t key{};
  const int made = gnutls_key_generate(&key, 16);
  gnutls_free(key.data);
  if (made == 0 && was_asked) return;
  source = nullptr;
  throw std::runtime_error("this GnuTLS takes no randomness from outside: its keys cannot be predictable");
}

PredictableKeys::~PredictableKeys() { source = nullptr; }

WorldTrial with_predictable_keys(WorldTrial trial) {
  return [trial = std::move(trial)](const world::Scenario& scenario, const world::WorldData& data,
                                    std::uint64_t seed, std::uint64_t index,
                                    const world::TrialOptions& options) {
    const PredictableKeys keys(io::Random(seed).derive(fmt::format("predictable keys/{}", index)));
    return trial(scenario, data, seed, index, options);
  };
}

}  // namespace flaresim::cli
