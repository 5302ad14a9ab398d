#pragma once

#include <fstream>
#include <list>
#include <memory>
#include <string>

#include "sim/net/capture.h"
#include "sim/world/trial.h"

namespace flaresim::world {

class PairWorld;

/// Writes down what happens in a trial: its timeline, and its packets.
class Recorder {
 public:
  Recorder(const TrialOptions& options, Trial& trial) : options_(options), trial_(trial) {}

  bool captures() const { return !options_.pcap_directory.empty(); }
  void attach(PairWorld& world);
  /// Nothing is written after this. Throws std::runtime_error when a capture could not be written.
  void finish();

 private:
  struct CaptureFile {
    std::string path;
    std::ofstream out;
    std::unique_ptr<net::Capture> capture;
  };
  net::Capture* open(PairWorld& world, const std::string& point);
  void trace(PairWorld& world);

  const TrialOptions& options_;
  Trial& trial_;
  std::list<CaptureFile> files_;
  bool finished_ = false;
};

}  // namespace flaresim::world
