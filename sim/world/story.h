#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace flaresim::world {

/// What A and B do in one trial, and what comes of it. Writes into the trial's row.
class Story {
 public:
  /// Adds a line to the timeline.
  using Say = std::function<void(const std::string& node, std::string_view what, std::string detail)>;

  Story() = default;
  virtual ~Story() = default;
  Story(const Story&) = delete;
  Story& operator=(const Story&) = delete;

  /// Both peers have just booted.
  virtual void begin() = 0;
  virtual bool over() const = 0;
  /// The time is up, and it is not over.
  virtual void give_up() = 0;
  /// What is to be found out afterwards; may let time pass.
  virtual void look_back() {}
};

}  // namespace flaresim::world
