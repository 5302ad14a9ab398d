#include "protocols/muxer/yamux_session.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace flaresim::muxer {
namespace {

// One write to the stream below: enough for frames' overhead to vanish, little enough for streams to take turns.
constexpr std::size_t max_outgoing_bytes = 32 * 1024;
// Less room than this is not worth a data frame.
constexpr std::size_t min_frame_room_bytes = 1024;
// Answers that a remote may provoke without reading them, before we stop to listen.
constexpr std::size_t max_unsent_bytes = 256 * 1024;
// How much of a data frame is handled at a time.
constexpr std::size_t max_piece_bytes = 16 * 1024;
// How far streams may overtake each other when the remote opens several at once.
constexpr std::size_t max_skipped_ids = 256;

constexpr std::uint16_t known_flags = flag_syn | flag_ack | flag_fin | flag_rst;

YamuxProfile valid(YamuxProfile profile) {
  profile.initial_window_bytes = std::max(profile.initial_window_bytes, YamuxStream::initial_window_bytes);
  return profile;
}

}  // namespace

YamuxSession::YamuxSession(io::Scheduler& scheduler, io::StreamPtr secured, security::Role role,
                           const YamuxProfile& profile)
    : scheduler_(scheduler),
      secured_(std::move(secured)),
      profile_(valid(profile)),
      next_id_(role == security::Role::client ? 1 : 2),
      next_remote_id_(role == security::Role::client ? 2 : 1),
      accepting_(scheduler),
      sent_(scheduler),
      timer_(scheduler),
      last_received_(scheduler.now()) {}

void YamuxSession::start() {
  arm_timer();
  io::spawn(scheduler_.executor(), read_frames(shared_from_this()));
}

// --- streams ---

io::Result<io::StreamPtr> YamuxSession::open_stream() {
  if (closed_) return tl::unexpected(*closed_);
  const auto waiting = std::count_if(streams_.begin(), streams_.end(),
                                     [](const auto& entry) { return entry.second->unacknowledged(); });
  const bool ids_used_up = next_id_ > std::numeric_limits<std::uint32_t>::max() - 2;
  if (waiting >= profile_.accept_backlog || streams_.size() >= profile_.max_streams || ids_used_up) {
    return io::fail(std::errc::no_buffer_space);
  }
  const auto id = std::exchange(next_id_, next_id_ + 2);
  auto stream = std::make_shared<YamuxStream>(shared_from_this(), id, YamuxStream::Origin::local);
  streams_.emplace(id, stream.get());
  stream->announce();
  return stream;
}

io::Task<io::Result<io::StreamPtr>> YamuxSession::accept_stream() {
  while (!closed_ && unaccepted_.empty()) co_await accepting_.wait();
  if (closed_) co_return tl::unexpected(*closed_);
  auto stream = std::move(unaccepted_.front());
  unaccepted_.pop_front();
  co_return stream;
}

void YamuxSession::forget(YamuxStream& stream) {
  streams_.erase(stream.id());
  std::erase(senders_, &stream);
}

YamuxStream* YamuxSession::find(std::uint32_t id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second;
}

bool YamuxSession::was_opened(std::uint32_t id) const {
  if (is_ours(id)) return id < next_id_;
  return id < next_remote_id_ && !skipped_remote_ids_.contains(id);
}

bool YamuxSession::take_remote_id(std::uint32_t id) {
  if (is_ours(id)) return false;
  if (id < next_remote_id_) return skipped_remote_ids_.erase(id) > 0;
  for (auto skipped = next_remote_id_; skipped < id && skipped_remote_ids_.size() < max_skipped_ids;
       skipped += 2) {
    skipped_remote_ids_.insert(static_cast<std::uint32_t>(skipped));
  }
  next_remote_id_ = std::uint64_t{id} + 2;
  return true;
}

// --- sending ---

void YamuxSession::send(const FrameHeader& header) {
  if (closed_) return;
  append_header(outgoing_, header);
  wake_writer();
}

void YamuxSession::queue(YamuxStream& stream) {
  senders_.push_back(&stream);
  fill_outgoing();
  wake_writer();
}

void YamuxSession::fill_outgoing() {
  while (!senders_.empty() &&
         outgoing_.size() + FrameHeader::bytes + min_frame_room_bytes <= max_outgoing_bytes) {
    auto& stream = *senders_.front();
    senders_.pop_front();
    const auto room = max_outgoing_bytes - outgoing_.size() - FrameHeader::bytes;
    stream.send_some(outgoing_, std::min<std::size_t>(room, profile_.max_message_bytes));
    if (stream.wants_to_send()) senders_.push_back(&stream);
  }
}

void YamuxSession::wake_writer() {
  // It begins later, so that frames which become due at the same time leave together.
  if (!std::exchange(writing_, true)) io::spawn(scheduler_.executor(), write_frames(shared_from_this()));
}

io::Task<> YamuxSession::write_frames(std::shared_ptr<YamuxSession> self) {
  while (!self->closed_ && !self->outgoing_.empty()) {
    const auto batch = std::exchange(self->outgoing_, {});
    self->sent_.notify_all();
    self->write_began_at_ = self->scheduler_.now();
    self->arm_timer();
    const auto written = co_await self->secured_->write(batch);
    self->write_began_at_.reset();
    if (!written) self->end(written.error(), std::nullopt, false);
    self->fill_outgoing();
  }
  self->writing_ = false;
}

io::Task<> YamuxSession::write_last(io::StreamPtr secured, io::Bytes frames) {
  // Nobody is left to tell if this fails.
  (void)co_await secured->write(frames);
}

// --- receiving ---

io::Task<> YamuxSession::read_frames(std::shared_ptr<YamuxSession> self) {
  while (!self->closed_) {
    if (self->outgoing_.size() > max_unsent_bytes) {
      co_await self->sent_.wait();
      continue;
    }
    const auto received = co_await self->receive_frame();
    if (!received) {
      const bool their_error = received.error().category() == yamux_category();
      self->end(received.error(), their_error ? std::optional(GoAway::protocol_error) : std::nullopt, false);
    }
  }
}

io::Task<io::Result<>> YamuxSession::receive_frame() {
  std::array<std::uint8_t, FrameHeader::bytes> bytes;
  if (auto got = co_await io::read_exactly(*secured_, bytes); !got) co_return got;
  last_received_ = scheduler_.now();

  const auto header = decode_header(bytes);
  if (header.version != 0) co_return io::fail(YamuxError::unknown_version);
  if ((header.flags & ~known_flags) != 0) co_return io::fail(YamuxError::bad_flags);
  switch (header.type) {
    case FrameType::data:
      co_return co_await receive_data(header);
    case FrameType::window_update:
      co_return on_stream_frame(header);
    case FrameType::ping:
      co_return on_ping(header);
    case FrameType::go_away:
      co_return on_go_away(header);
  }
  co_return io::fail(YamuxError::unknown_type);
}

io::Task<io::Result<>> YamuxSession::receive_data(FrameHeader header) {
  if (header.length > profile_.initial_window_bytes) co_return io::fail(YamuxError::frame_too_long);
  if (auto accepted = on_stream_frame(header); !accepted) co_return accepted;

  io::Bytes piece(std::min<std::size_t>(header.length, max_piece_bytes));
  for (std::size_t rest = header.length; rest > 0;) {
    const auto got = co_await secured_->read(std::span(piece).first(std::min(rest, piece.size())));
    if (!got) co_return tl::unexpected(got.error());
    if (*got == 0) co_return io::fail(std::errc::connection_aborted);
    last_received_ = scheduler_.now();
    rest -= *got;
    // The stream may have been reset meanwhile; then its data has nowhere to go.
    if (auto* stream = find(header.stream)) stream->on_data(io::BytesView(piece).first(*got));
  }
  if (auto* stream = find(header.stream); stream != nullptr && header.has(flag_fin)) stream->on_fin();
  co_return io::Result<>{};
}

io::Result<> YamuxSession::on_stream_frame(const FrameHeader& header) {
  if (header.stream == 0) return io::fail(YamuxError::bad_stream_id);
  if (header.has(flag_syn)) {
    if (auto opened = on_syn(header); !opened) return opened;
  }
  auto* stream = find(header.stream);
  if (stream == nullptr) return on_unknown_stream(header);
  if (header.has(flag_ack)) stream->on_acknowledged();
  if (header.has(flag_rst)) {
    forget(*stream);
    stream->fail(std::make_error_code(std::errc::connection_reset), false);
    std::erase_if(unaccepted_, [&](const auto& waiting) { return waiting.get() == stream; });
    return {};
  }
  if (header.type == FrameType::data) return stream->on_data_announced(header.length);
  if (auto updated = stream->on_window_update(header.length); !updated) return updated;
  if (header.has(flag_fin)) stream->on_fin();
  return {};
}

io::Result<> YamuxSession::on_unknown_stream(const FrameHeader& header) const {
  // What was under way when a stream ended, or was refused, is none of anybody's fault.
  if (was_opened(header.stream) || header.has(flag_rst)) return {};
  return io::fail(YamuxError::bad_stream_id);
}

io::Result<> YamuxSession::on_syn(const FrameHeader& header) {
  if (!take_remote_id(header.stream)) return io::fail(YamuxError::bad_stream_id);
  if (unaccepted_.size() >= profile_.accept_backlog || streams_.size() >= profile_.max_streams) {
    send({.type = FrameType::window_update, .flags = flag_rst, .stream = header.stream});
    return {};
  }
  auto stream = std::make_shared<YamuxStream>(shared_from_this(), header.stream, YamuxStream::Origin::remote);
  streams_.emplace(header.stream, stream.get());
  if (profile_.initial_window_bytes > YamuxStream::initial_window_bytes) stream->announce();
  unaccepted_.push_back(std::move(stream));
  accepting_.notify_all();
  return {};
}

io::Result<> YamuxSession::on_ping(const FrameHeader& header) {
  if (header.stream != 0) return io::fail(YamuxError::bad_stream_id);
  if (header.has(flag_syn) == header.has(flag_ack)) return io::fail(YamuxError::bad_flags);
  // An answer has done its work by being received.
  if (header.has(flag_syn)) send({.type = FrameType::ping, .flags = flag_ack, .length = header.length});
  return {};
}

io::Result<> YamuxSession::on_go_away(const FrameHeader& header) {
  if (header.stream != 0) return io::fail(YamuxError::bad_stream_id);
  const auto code = static_cast<GoAway>(header.length);
  const auto why = code == GoAway::normal           ? YamuxError::go_away
                   : code == GoAway::protocol_error ? YamuxError::go_away_protocol
                                                    : YamuxError::go_away_internal;
  end(why, std::nullopt, false);
  return {};
}

// --- time ---

void YamuxSession::arm_timer() {
  // An alarm that comes too early only looks at the clock again, so receiving and sending need not touch it.
  auto next = io::TimePoint::max();
  if (pinged_at_) {
    next = *pinged_at_ + profile_.write_timeout;
  } else if (profile_.keep_alive_interval > io::Duration::zero()) {
    next = last_received_ + profile_.keep_alive_interval;
  }
  if (write_began_at_) next = std::min(next, *write_began_at_ + profile_.write_timeout);
  if (closed_ || next == io::TimePoint::max() || (timer_.armed() && timer_at_ <= next)) return;
  timer_at_ = next;
  timer_.arm_at(next, [this] { on_timer(); });
}

void YamuxSession::on_timer() {
  const auto self = shared_from_this();
  const auto now = scheduler_.now();
  if (write_began_at_ && now >= *write_began_at_ + profile_.write_timeout) {
    return end(std::make_error_code(std::errc::timed_out), std::nullopt, false);
  }
  if (pinged_at_ && last_received_ >= *pinged_at_) pinged_at_.reset();
  if (pinged_at_ && now >= *pinged_at_ + profile_.write_timeout) {
    return end(YamuxError::keep_alive_timeout, std::nullopt, false);
  }
  const bool keeps_alive = profile_.keep_alive_interval > io::Duration::zero();
  if (keeps_alive && !pinged_at_ && now >= last_received_ + profile_.keep_alive_interval) {
    pinged_at_ = now;
    send({.type = FrameType::ping, .flags = flag_syn, .length = pings_++});
  }
  arm_timer();
}

// --- the end ---

void YamuxSession::end(std::error_code why, std::optional<GoAway> tell, bool discard) {
  if (closed_) return;
  const auto self = shared_from_this();
  closed_ = why;
  timer_.cancel();
  senders_.clear();
  const auto unaccepted = std::exchange(unaccepted_, {});
  for (const auto& [id, stream] : std::exchange(streams_, {})) stream->fail(why, discard);
  accepting_.notify_all();
  sent_.notify_all();

  // The go-away is sent if that can be done without waiting: the reset stands right behind it.
  if (tell && !write_began_at_) {
    append_header(outgoing_, {.type = FrameType::go_away, .length = static_cast<std::uint32_t>(*tell)});
    io::spawn(scheduler_.executor(), write_last(secured_, std::exchange(outgoing_, {})));
  }
  outgoing_ = {};
  scheduler_.post([secured = secured_, why] { secured->reset(why); });
}

}  // namespace flaresim::muxer
