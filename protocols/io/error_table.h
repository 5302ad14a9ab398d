#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace flaresim::io {

/// The category of an error enum whose enumerators count up from 1, one message each.
class ErrorTable : public std::error_category {
 public:
  ErrorTable(const char* name, std::span<const std::string_view> messages)
      : name_(name), messages_(messages) {}

  const char* name() const noexcept override { return name_; }
  std::string message(int value) const override {
    const auto index = static_cast<std::size_t>(value) - 1;
    return std::string(index < messages_.size() ? messages_[index] : "unknown error");
  }

 private:
  const char* name_;
  std::span<const std::string_view> messages_;
};

}  // namespace flaresim::io
