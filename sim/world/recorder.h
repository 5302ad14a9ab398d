#pragma once

#include <fstream>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "sim/net/capture.h"
#include "sim/world/pair_world.h"
#include "sim/world/trial.h"

namespace flaresim::world {

/// Writes down what happens in a trial: its timeline, its packets, the keys that decrypt them, and what the QUIC
/// connections say of themselves. Outlives the world.
class Recorder {
 public:
  Recorder(const TrialOptions& options, Trial& trial);

  /// What the world is made with.
  PairWorld::Tap tap();
  void attach(PairWorld& world);
  /// Another line of the timeline, where there is one.
  void say(const PairWorld& world, const std::string& node, std::string_view what, std::string detail);
  /// Nothing is written after this. Throws std::runtime_error when a file could not be made or written: not
  /// before, since a world does not survive what is thrown in the middle of an event.
  void finish();

 private:
  struct File {
    std::string path;
    std::ofstream out;
  };
  File& open(const std::string& name);
  net::Capture* capture(PairWorld& world, const std::string& point);
  void trace(PairWorld& world);
  void log_key(std::string_view line);
  quic::QlogSink open_qlog(const std::string& name);

  const TrialOptions& options_;
  Trial& trial_;
  std::list<File> files_;
  std::list<net::Capture> captures_;
  File* keys_ = nullptr;
  /// Both ends of a connection know the same secrets; the file has them once.
  std::set<std::string, std::less<>> known_keys_;
  bool finished_ = false;
};

}  // namespace flaresim::world
