#pragma once

#include "protocols/swarm/state.h"

namespace flaresim::swarm {

/// One dial to one peer, over any number of addresses.
struct Swarm::State::Dial {
  Dial(io::Scheduler& scheduler, DialRequest what);

  DialRequest request;
  std::vector<DialFailure> tries;  // one an address, in the order of dialling; its coroutines write into it
  std::size_t dialable = 0;        // of these, the first ones
  std::size_t next = 0;            // to be dialled
  std::size_t running = 0;
  std::size_t direct_left = 0;  // direct addresses that may yet succeed
  std::list<Abort> aborts;      // what to give up when another address was faster
  bool over = false;
  io::Signal news;  // direct addresses have all failed, or the dial is over
};

}  // namespace flaresim::swarm
