#include "protocols/transport/quic/connection.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "protocols/transport/quic/quic_error.h"

namespace flaresim::quic {
namespace {

/// A user's end of a stream.
class QuicStream final : public io::Stream {
 public:
  QuicStream(std::shared_ptr<Connection> connection, StreamStatePtr state)
      : connection_(std::move(connection)), state_(std::move(state)) {}
  ~QuicStream() override {
    if (!state_->over()) connection_->abort(*state_, std::make_error_code(std::errc::operation_canceled));
  }

  io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override;
  io::Task<io::Result<>> write(io::BytesView bytes) override;
  io::Task<io::Result<>> close_write() override;
  void reset(std::error_code why) override { connection_->abort(*state_, why); }
  using io::Stream::reset;

 private:
  std::shared_ptr<Connection> connection_;
  StreamStatePtr state_;
};

io::Task<io::Result<std::size_t>> QuicStream::read(std::span<std::uint8_t> into) {
  auto& state = *state_;
  while (!state.error && state.received.empty() && !state.end_received) co_await state.readable.wait();
  if (state.error) co_return tl::unexpected(state.error);
  if (state.received.empty()) {
    state.read_ended = true;
    co_return 0;
  }
  const auto& front = state.received.front();
  const auto n = std::min(into.size(), front.size() - state.received_from);
  std::memcpy(into.data(), front.data() + state.received_from, n);
  state.received_from += n;
  if (state.received_from == front.size()) {
    state.received.pop_front();
    state.received_from = 0;
  }
  connection_->consumed(state, n);
  co_return n;
}

io::Task<io::Result<>> QuicStream::write(io::BytesView bytes) {
  auto& state = *state_;
  const auto limit = connection_->unsent_limit();
  while (!bytes.empty() && !state.error) {
    assert(!state.write_ended);
    const auto room = limit - std::min(limit, state.unsent_bytes);
    if (room == 0) {
      co_await state.writable.wait();
      continue;
    }
    const auto piece = bytes.first(std::min(room, bytes.size()));
    bytes = bytes.subspan(piece.size());
    state.kept.push_back(io::to_bytes(piece));
    state.unsent_bytes += piece.size();
    connection_->wants_to_send(state_);
  }
  if (state.error) co_return tl::unexpected(state.error);
  co_return io::Result<>{};
}

io::Task<io::Result<>> QuicStream::close_write() {
  if (state_->error) co_return tl::unexpected(state_->error);
  if (!state_->write_ended) {
    state_->write_ended = true;
    connection_->wants_to_send(state_);
  }
  co_return io::Result<>{};
}

class Handle final : public muxer::MuxedConnection {
 public:
  explicit Handle(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~Handle() override { connection_->close(std::make_error_code(std::errc::operation_canceled)); }

  io::Task<io::Result<io::StreamPtr>> open_stream() override { return connection_->open_stream(); }
  io::Task<io::Result<io::StreamPtr>> accept_stream() override { return connection_->accept_stream(); }
  void close(std::error_code why) override { connection_->close(why); }
  bool closed() const override { return static_cast<bool>(connection_->ended()); }
  std::size_t streams() const override { return connection_->streams(); }

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace

muxer::MuxedConnectionPtr muxed(std::shared_ptr<Connection> connection) {
  return std::make_shared<Handle>(std::move(connection));
}

Connection::Connection(Hub& hub, std::uint64_t serial, security::Role role)
    : hub_(&hub),
      scheduler_(hub.scheduler()),
      serial_(serial),
      role_(role),
      unsent_limit_(hub.profile().unsent_bytes),
      timer_(scheduler_),
      changed_(scheduler_) {}

Connection::~Connection() = default;

void Connection::start(const EngineStart& start) {
  remote_ = start.remote;
  engine_ = std::make_unique<Engine>(start, hub_->profile(), hub_->identity(), *this, scheduler_.now());
}

// --- What moves it: datagrams, the timer, the application.

void Connection::receive(const io::Endpoint& from, io::BytesView datagram) {
  if (!engine_) return;
  const auto self = shared_from_this();
  if (const auto ending = engine_->read(from, datagram, scheduler_.now())) {
    end(*ending);
    return;
  }
  abort_reset_streams();
  flush();
}

void Connection::expire() {
  const auto self = shared_from_this();
  const auto now = scheduler_.now();
  if (now < engine_->expiry()) {  // it has been put off since the timer was armed
    arm();
    return;
  }
  if (const auto ending = engine_->expire(now)) {
    end(*ending);
    return;
  }
  flush();
}

void Connection::flush_soon() {
  if (!engine_ || flush_posted_) return;
  flush_posted_ = true;
  scheduler_.post([self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (!engine_) return;
  const auto self = shared_from_this();
  const auto now = scheduler_.now();
  if (!write_packets(now)) return;
  engine_->end_writing(now);
  arm();
  announce();
}

/// An armed timer is left alone when the deadline moves away, which is what every packet does to it.
void Connection::arm() {
  const auto expiry = engine_->expiry();
  if (expiry == io::TimePoint::max()) {
    timer_.cancel();
  } else if (!timer_.armed() || expiry < armed_for_) {
    armed_for_ = expiry;
    timer_.arm_at(expiry, [this] { expire(); });
  }
}

void Connection::announce() {
  if (!std::exchange(established_now_, false)) return;
  remote_key_ = engine_->remote_key();
  changed_.notify_all();
  hub_->on_established(*this);
}

void Connection::close(std::error_code why) {
  if (!engine_) return;
  const auto self = shared_from_this();
  end(engine_->close(why));
}

void Connection::refuse(std::error_code why) {
  if (!engine_) return;
  const auto self = shared_from_this();
  end(engine_->refuse(why));
}

io::Task<io::Result<>> Connection::established_by(io::TimePoint deadline) {
  const auto self = shared_from_this();
  while (!ended_ && !is_established()) {
    const bool changed = co_await changed_.wait_until(deadline);
    if (!changed && !ended_ && !is_established()) co_return io::fail(std::errc::timed_out);
  }
  if (ended_) co_return tl::unexpected(ended_);
  co_return io::Result<>{};
}

void Connection::end(const Ending& ending) {
  assert(ending.why);
  ended_ = ending.why;
  remote_ = engine_->remote();
  auto packet = ending.how == Ending::How::closing ? engine_->close_packet(scheduler_.now()) : io::Bytes();
  const auto lingering = ending.how == Ending::How::silent ? io::Duration::zero() : engine_->lingering();
  engine_.reset();
  timer_.cancel();
  for (const auto& token : std::exchange(reset_tokens_, {})) hub_->unwatch_reset(token);
  for (const auto& [id, stream] : std::exchange(streams_, {})) fail(*stream, ended_);
  to_send_.clear();
  to_accept_.clear();
  reset_by_peer_.clear();
  changed_.notify_all();
  if (!packet.empty()) (void)hub_->send(remote_, packet);
  std::exchange(hub_, nullptr)->on_ended(*this, std::move(packet), lingering);
}

// --- Sending.

StreamPiece Connection::next_piece(const StreamState& stream) const {
  StreamPiece piece{stream.id, {}, false};
  if (stream.unsent_bytes > 0)
    piece.bytes = io::BytesView(stream.kept[stream.next_piece]).subspan(stream.next_piece_from);
  piece.end = stream.write_ended && piece.bytes.size() == stream.unsent_bytes;
  return piece;
}

void Connection::note_sent(StreamState& stream, std::size_t bytes, bool all) {
  stream.unsent_bytes -= bytes;
  stream.next_piece_from += bytes;
  if (bytes > 0 && stream.next_piece_from == stream.kept[stream.next_piece].size()) {
    ++stream.next_piece;
    stream.next_piece_from = 0;
  }
  if (all) stream.end_sent = true;
  if (bytes > 0) stream.writable.notify_all();
}

/// Streams take turns, a datagram's worth each. False when the connection has ended.
bool Connection::write_packets(io::TimePoint now) {
  std::array<std::uint8_t, max_datagram_bytes> datagram;
  std::deque<StreamStatePtr> blocked;
  const auto burst = engine_->burst_bytes();
  std::size_t sent = 0;
  bool more = true;
  while (more) {
    while (!to_send_.empty() && !to_send_.front()->has_to_send()) {
      to_send_.front()->queued = false;
      to_send_.pop_front();
    }
    const auto stream = to_send_.empty() ? nullptr : to_send_.front();
    const auto piece = stream ? next_piece(*stream) : StreamPiece();
    const auto written = engine_->write(datagram, stream ? &piece : nullptr, now);
    if (written.taken) note_sent(*stream, *written.taken, piece.end && *written.taken == piece.bytes.size());
    switch (written.state) {
      case Written::State::nothing:
        more = false;
        break;
      case Written::State::more:
        break;
      case Written::State::packet: {
        const auto outcome = hub_->send(written.to, io::BytesView(datagram).first(written.packet_bytes));
        if (!outcome && role_ == security::Role::client && !is_established()) {
          end({Ending::How::silent, outcome.error()});
          return false;
        }
        sent += written.packet_bytes;
        more = sent < burst;
        if (stream && to_send_.size() > 1) {
          to_send_.pop_front();
          to_send_.push_back(stream);
        }
        break;
      }
      case Written::State::stream_blocked:
        blocked.push_back(stream);
        to_send_.pop_front();
        break;
      case Written::State::stream_ended:
        to_send_.pop_front();
        stream->queued = false;
        fail(*stream, std::make_error_code(std::errc::connection_reset));
        break;
      case Written::State::failed:
        end(written.ending);
        return false;
    }
  }
  to_send_.insert(to_send_.end(), blocked.begin(), blocked.end());
  return true;
}

// --- Streams.

io::StreamPtr Connection::handle(StreamStatePtr stream) {
  return std::make_shared<QuicStream>(shared_from_this(), std::move(stream));
}

io::Task<io::Result<io::StreamPtr>> Connection::open_stream() {
  const auto self = shared_from_this();
  if (ended_) co_return tl::unexpected(ended_);
  const auto id = engine_->open_stream();
  if (!id) co_return io::fail(std::errc::no_buffer_space);
  auto state = std::make_shared<StreamState>(scheduler_, *id);
  streams_.emplace(*id, state);
  co_return handle(std::move(state));
}

io::Task<io::Result<io::StreamPtr>> Connection::accept_stream() {
  const auto self = shared_from_this();
  while (!ended_ && to_accept_.empty()) co_await changed_.wait();
  if (ended_) co_return tl::unexpected(ended_);
  auto state = std::move(to_accept_.front());
  to_accept_.pop_front();
  co_return handle(std::move(state));
}

std::size_t Connection::streams() const {
  return static_cast<std::size_t>(std::count_if(streams_.begin(), streams_.end(),
                                                [](const auto& entry) { return !entry.second->over(); }));
}

void Connection::consumed(StreamState& stream, std::size_t bytes) {
  if (!engine_) return;
  engine_->consume(stream.id, bytes);
  flush_soon();
}

void Connection::wants_to_send(const StreamStatePtr& stream) {
  if (!stream->queued) {
    stream->queued = true;
    to_send_.push_back(stream);
  }
  flush_soon();
}

void Connection::abort(StreamState& stream, std::error_code why) {
  if (stream.over()) return;
  fail(stream, why);
  if (!engine_) return;
  engine_->abort_stream(stream.id);
  flush_soon();
}

void Connection::fail(StreamState& stream, std::error_code why) {
  if (stream.error) return;
  stream.error = why;
  std::size_t unread = 0;
  for (const auto& piece : std::exchange(stream.received, {})) unread += piece.size();
  // What nobody will read must not take up the window that all streams share.
  if (engine_ && unread > 0) engine_->consume(stream.id, unread - stream.received_from);
  stream.unsent_bytes = 0;
  stream.end_sent = true;
  stream.readable.notify_all();
  stream.writable.notify_all();
}

/// In libp2p a reset is one of both directions.
void Connection::abort_reset_streams() {
  for (const auto& stream : std::exchange(reset_by_peer_, {})) engine_->abort_stream(stream->id);
}

ConnectionId Connection::issue_id() {
  const auto id = hub_->issue_id(*this);
  ids_.push_back(id);
  return id;
}

void Connection::on_id_retired(const ConnectionId& own) {
  std::erase(ids_, own);
  hub_->forget_id(own);
}

void Connection::on_reset_token(const ResetToken& token, bool valid) {
  if (valid && std::find(reset_tokens_.begin(), reset_tokens_.end(), token) == reset_tokens_.end()) {
    reset_tokens_.push_back(token);
    hub_->watch_reset(token, *this);
  } else if (!valid && std::erase(reset_tokens_, token) > 0) {
    hub_->unwatch_reset(token);
  }
}

void Connection::on_stream_opened(StreamId id) {
  const auto state = std::make_shared<StreamState>(scheduler_, id);
  streams_.emplace(id, state);
  to_accept_.push_back(state);
  changed_.notify_all();
}

void Connection::on_stream_data(StreamId id, io::BytesView bytes, bool end) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second->error) return;
  auto& stream = *found->second;
  // Frames of a few bytes are joined, or their bookkeeping would be many times what the window allows.
  if (!stream.received.empty() && stream.received.back().size() + bytes.size() <= max_datagram_bytes) {
    io::append(stream.received.back(), bytes);
  } else if (!bytes.empty()) {
    stream.received.push_back(io::to_bytes(bytes));
  }
  stream.end_received |= end;
  stream.readable.notify_all();
}

void Connection::on_stream_acknowledged(StreamId id, std::size_t bytes) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  auto& stream = *found->second;
  stream.acknowledged += bytes;
  while (!stream.kept.empty() && stream.acknowledged >= stream.kept.front().size() && stream.next_piece > 0) {
    stream.acknowledged -= stream.kept.front().size();
    stream.kept.pop_front();
    --stream.next_piece;
  }
}

void Connection::on_stream_reset(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second->error) return;
  fail(*found->second, std::make_error_code(std::errc::connection_reset));
  reset_by_peer_.push_back(found->second);
}

void Connection::on_stream_closed(StreamId id, bool in_error) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  if (in_error) fail(*found->second, std::make_error_code(std::errc::connection_reset));
  streams_.erase(found);
}

}  // namespace flaresim::quic
