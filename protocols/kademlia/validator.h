#pragma once

#include <cstddef>
#include <vector>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"

namespace flaresim::kademlia {

/// Says which values may stand under the keys of a namespace, and which of several is the best.
class Validator {
 public:
  virtual ~Validator() = default;
  /// Fails with any error when this value may not stand under this key.
  virtual io::Result<> validate(io::BytesView key, io::BytesView value) const = 0;
  /// Number of the best of these values, all valid; at least one.
  virtual std::size_t select(io::BytesView key, const std::vector<io::Bytes>& values) const = 0;
};

}  // namespace flaresim::kademlia
