#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "protocols/io/signal.h"
#include "protocols/muxer/yamux.h"
#include "protocols/muxer/yamux_frame.h"
#include "protocols/muxer/yamux_stream.h"

namespace flaresim::muxer {

/// What a yamux session is made of: its streams, what waits to be sent, one coroutine that reads and, while
/// there is something to send, one that writes. These and the streams keep it alive; `end` lets go of
/// everything.
class YamuxSession : public std::enable_shared_from_this<YamuxSession> {
 public:
  YamuxSession(io::Scheduler& scheduler, io::StreamPtr secured, security::Role role,
               const YamuxProfile& profile);

  void start();
  io::Result<io::StreamPtr> open_stream();
  io::Task<io::Result<io::StreamPtr>> accept_stream();
  void close(std::error_code why) { end(why, GoAway::normal, true); }
  bool closed() const { return closed_.has_value(); }
  std::size_t streams() const { return streams_.size(); }

  // For the streams:

  io::Scheduler& scheduler() { return scheduler_; }
  const YamuxProfile& profile() const { return profile_; }
  void send(const FrameHeader& header);
  /// The stream has something to send and the window for it: it takes its place in the queue.
  void queue(YamuxStream& stream);
  /// The stream has ended, in both directions.
  void forget(YamuxStream& stream);

 private:
  static io::Task<> read_frames(std::shared_ptr<YamuxSession> self);
  static io::Task<> write_frames(std::shared_ptr<YamuxSession> self);
  static io::Task<> write_last(io::StreamPtr secured, io::Bytes frames);

  io::Task<io::Result<>> receive_frame();
  io::Task<io::Result<>> receive_data(FrameHeader header);
  io::Result<> on_stream_frame(const FrameHeader& header);
  io::Result<> on_unknown_stream(const FrameHeader& header) const;
  io::Result<> on_syn(const FrameHeader& header);
  io::Result<> on_ping(const FrameHeader& header);
  io::Result<> on_go_away(const FrameHeader& header);

  bool take_remote_id(std::uint32_t id);
  bool is_ours(std::uint32_t id) const { return id % 2 == next_id_ % 2; }
  bool was_opened(std::uint32_t id) const;
  YamuxStream* find(std::uint32_t id) const;

  /// Moves data of the queued streams into `outgoing_`, in turn, until that is full.
  void fill_outgoing();
  void wake_writer();
  void arm_timer();
  void on_timer();
  /// `tell`: the go-away to send. `discard`: what streams have received is not to be read any more.
  void end(std::error_code why, std::optional<GoAway> tell, bool discard);

  io::Scheduler& scheduler_;
  io::StreamPtr secured_;
  const YamuxProfile profile_;
  std::optional<std::error_code> closed_;

  std::map<std::uint32_t, YamuxStream*> streams_;  // those that have not ended; they leave by `forget`
  std::uint32_t next_id_;
  std::uint64_t next_remote_id_;                // wider, so that the last id has a next one
  std::set<std::uint32_t> skipped_remote_ids_;  // below next_remote_id_, yet to come
  std::list<std::shared_ptr<YamuxStream>> unaccepted_;
  io::Signal accepting_;

  io::Bytes outgoing_;
  std::list<YamuxStream*> senders_;
  bool writing_ = false;
  io::Signal sent_;

  io::Timer timer_;
  io::TimePoint timer_at_{};
  io::TimePoint last_received_;
  std::optional<io::TimePoint> pinged_at_;
  std::optional<io::TimePoint> write_began_at_;
  std::uint32_t pings_ = 0;
};

}  // namespace flaresim::muxer
