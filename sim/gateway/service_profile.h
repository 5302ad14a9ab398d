#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "protocols/io/network.h"
#include "protocols/io/time.h"

namespace flaresim::gateway {

/// Which services a gateway has, and the faults that real ones are known for.
struct ServiceProfile {
  bool nat_pmp = false;  ///< RFC 6886
  bool pcp = false;      ///< RFC 6887
  int igd = 0;           ///< UPnP Internet Gateway Device: version 1 or 2; 0: none

  /// No lease is longer. RFC 6886 §3.3 recommends that clients ask for two hours.
  io::Duration longest_lease = std::chrono::hours(2);
  /// The gateway forgets a lease after this time although it granted a longer one. Zero: it keeps its word.
  io::Duration forgets_after{0};
  /// IGD: only leases without an end are taken (error 725 otherwise).
  bool permanent_only = false;
  /// What the gateway says its outside address is. None: the true one.
  std::optional<io::IpAddress> claimed_address{};
  /// The outside port that the gateway tells, less the one that it opens.
  std::int32_t port_error = 0;
  /// Whom else the outside port belongs to is not checked: the newcomer gets it.
  bool takes_over = false;
  std::size_t most_mappings = 128;
  std::size_t most_mappings_per_host = 32;

  bool any() const { return nat_pmp || pcp || igd != 0; }
  friend bool operator==(const ServiceProfile&, const ServiceProfile&) = default;
};

}  // namespace flaresim::gateway
