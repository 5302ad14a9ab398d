#pragma once

#include <system_error>

#include "protocols/io/result.h"

namespace flaresim {

/// The error of a result; none when there is a value, so that a test fails where `error()` would crash.
template <class T>
std::error_code error_of(const io::Result<T>& result) {
  return result ? std::error_code{} : result.error();
}

}  // namespace flaresim
