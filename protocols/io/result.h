#pragma once

#include <system_error>
#include <tl/expected.hpp>
#include <utility>

namespace flaresim::io {

/// A value, or why there is none. Expected failures (a refused dial, a malformed message, a time limit)
/// travel this way; exceptions are for broken invariants.
template <class T = void>
using Result = tl::expected<T, std::error_code>;

/// `return fail(std::errc::timed_out)`, or any enum registered as an error code.
template <class E>
tl::unexpected<std::error_code> fail(E error) {
  if constexpr (std::is_same_v<E, std::errc>) {
    return tl::unexpected<std::error_code>(std::make_error_code(error));
  } else {
    return tl::unexpected<std::error_code>(std::error_code(error));
  }
}

}  // namespace flaresim::io
