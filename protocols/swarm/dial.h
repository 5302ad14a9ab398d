#pragma once

#include "protocols/swarm/state.h"

namespace flaresim::swarm {

/// One address of a dial.
struct Swarm::State::Try : DialFailure {
  io::Duration delay{0};       // after the dial's start
  io::TimePoint hold_until{};  // connected, and likely upgraded by then: nothing new is begun before
  bool failed = false;         // by itself, and not because the dial ended
};

/// One dial to one peer, over any number of addresses.
struct Swarm::State::Dial {
  /// What is known to fail is not tried.
  Dial(State& state, DialRequest what, const std::vector<DialFailure>& known);
  /// When the next batch is due; never, when none is left.
  io::TimePoint next_batch() const;
  std::error_code why_not() const;
  std::vector<DialFailure> failures() const { return {tries.begin(), tries.end()}; }

  DialRequest request;
  std::vector<Try> tries;     // one an address, in the order of dialling; its coroutines write into it
  std::size_t dialable = 0;   // of these, the first ones
  std::size_t released = 0;   // of these, the first ones, which are due
  std::size_t next = 0;       // of the released ones to be dialled
  std::size_t in_flight = 0;  // released, and not ended
  std::list<Abort> aborts;    // what to give up when another address was faster
  io::TimePoint began{};
  bool over = false;
  io::Signal news;  // a try ended, a connection to the peer came, or the dial is over
};

}  // namespace flaresim::swarm
