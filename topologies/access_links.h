#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "protocols/io/result.h"
#include "protocols/io/time.h"

namespace flaresim::topologies {

enum class AccessError {
  bad_header = 1,   ///< the first line does not name the columns
  cell_count,       ///< a row has more or fewer cells than the header
  bad_number,       ///< a cell is not a number, negative, or out of range
  jitter_too_wide,  ///< more than the delay
  duplicate_kind,   ///< a name appears twice
};
std::error_code make_error_code(AccessError error);

/// A kind of access link.
struct AccessLink {
  std::string kind;
  io::Duration delay{};                  ///< one way, each way
  io::Duration jitter{};                 ///< half width
  std::uint64_t up_bits_per_second = 0;  ///< 0: unlimited
  std::uint64_t down_bits_per_second = 0;
  io::Duration queue{};  ///< how long a full queue takes to drain
  double loss = 0;       ///< probability, in [0, 1]
  std::string source;

  /// A queue of that length at that rate; 0 at an unlimited one.
  std::uint64_t queue_bytes(std::uint64_t bits_per_second) const;
};

/// Reads the columns kind, delay_ms, jitter_ms, up_mbit_per_s, down_mbit_per_s, queue_ms, loss_percent, source.
io::Result<std::vector<AccessLink>> read_access_links(std::string_view csv);

}  // namespace flaresim::topologies

template <>
struct std::is_error_code_enum<flaresim::topologies::AccessError> : std::true_type {};
