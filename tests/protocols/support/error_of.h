#pragma once

#include <optional>
#include <ostream>
#include <system_error>

#include "protocols/io/result.h"

namespace flaresim {

/// How a call failed, to be compared with how it should have. A call that succeeded equals no error, and prints
/// as a success; asking its result for `error()` would be undefined.
class Failure {
 public:
  explicit Failure(std::optional<std::error_code> error) : error_(error) {}

  bool operator==(const std::error_code& expected) const { return error_ && *error_ == expected; }
  bool operator==(const std::error_condition& expected) const { return error_ && *error_ == expected; }

  friend std::ostream& operator<<(std::ostream& out, const Failure& failure) {
    if (!failure.error_) return out << "a success";
    return out << *failure.error_ << " (" << failure.error_->message() << ")";
  }

 private:
  std::optional<std::error_code> error_;
};

template <class T>
Failure error_of(const io::Result<T>& result) {
  return Failure(result ? std::nullopt : std::optional(result.error()));
}

}  // namespace flaresim
