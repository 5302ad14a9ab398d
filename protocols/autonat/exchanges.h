#pragma once

#include <list>
#include <system_error>
#include <utility>

#include "protocols/io/stream.h"

namespace flaresim::autonat {

/// The exchanges that are under way, so that stopping can end them.
class Exchanges {
 public:
  /// One of them, from its beginning to its end, with the stream that it runs on once there is one.
  class Exchange {
   public:
    explicit Exchange(Exchanges& all, io::StreamPtr on = nullptr)
        : all_(all), place_(all.streams_.insert(all.streams_.end(), std::move(on))) {}
    ~Exchange() { all_.streams_.erase(place_); }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    void runs_on(io::StreamPtr stream) { *place_ = std::move(stream); }

   private:
    Exchanges& all_;
    std::list<io::StreamPtr>::iterator place_;
  };

  std::size_t size() const { return streams_.size(); }
  void reset_all(std::error_code why) {
    // Resetting may end an exchange at once, which takes it off the list.
    for (const auto streams = streams_; const auto& stream : streams) {
      if (stream) stream->reset(why);
    }
  }

 private:
  std::list<io::StreamPtr> streams_;
};

}  // namespace flaresim::autonat
