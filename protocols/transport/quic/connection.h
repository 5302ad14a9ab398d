#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "protocols/io/signal.h"
#include "protocols/muxer/muxed_connection.h"
#include "protocols/transport/quic/engine.h"
#include "protocols/transport/quic/tokens.h"

namespace flaresim::quic {

class Connection;

/// What connections share and need from their endpoint, which outlives every connection that has not ended.
class Hub {
 public:
  virtual ~Hub() = default;

  virtual io::Scheduler& scheduler() = 0;
  virtual io::Random& random() = 0;
  virtual const Tokens& tokens() const = 0;
  virtual const QuicProfile& profile() const = 0;
  virtual const security::TlsIdentityPtr& identity() const = 0;
  virtual io::Endpoint local() const = 0;

  virtual io::Result<> send(const io::Endpoint& to, io::BytesView datagram) = 0;
  /// A fresh id that leads to this connection.
  virtual ConnectionId issue_id(Connection& connection) = 0;
  virtual void forget_id(const ConnectionId& id) = 0;
  virtual void watch_reset(const ResetToken& token, Connection& connection) = 0;
  virtual void unwatch_reset(const ResetToken& token) = 0;

  virtual void on_established(Connection& connection) = 0;
  /// The connection's ids still lead to it. For the lingering time they shall be answered by `close_packet`, or not
  /// at all when that is empty; with no time, they are forgotten. RFC 9000 §10.2.
  virtual void on_ended(Connection& connection, io::Bytes close_packet, io::Duration lingering) = 0;
};

/// One stream's two directions, as far as QUIC does not keep them.
struct StreamState {
  StreamState(io::Scheduler& scheduler, StreamId stream)
      : id(stream), readable(scheduler), writable(scheduler) {}

  bool over() const { return error || ((read_ended || (end_received && received.empty())) && write_ended); }
  bool has_to_send() const { return unsent_bytes > 0 || (write_ended && !end_sent); }

  StreamId id;
  io::Signal readable;
  io::Signal writable;
  std::error_code error;  ///< ended both directions

  std::deque<io::Bytes> received;
  std::size_t received_from = 0;  ///< in the first piece
  bool end_received = false;
  bool read_ended = false;

  std::deque<io::Bytes> kept;       ///< written, not acknowledged: QUIC points into it
  std::size_t acknowledged = 0;     ///< of the first piece
  std::size_t next_piece = 0;       ///< the first one with unsent bytes …
  std::size_t next_piece_from = 0;  ///< … and where they begin
  std::size_t unsent_bytes = 0;
  bool write_ended = false;
  bool end_sent = false;
  bool queued = false;  ///< for sending
};
using StreamStatePtr = std::shared_ptr<StreamState>;

/// One connection: an engine, its timer, its streams.
///
/// 1. Streams and handles share ownership; the endpoint does while the connection lives.
/// 2. When it ends the engine is freed at once, and whatever waits fails.
class Connection final : public EngineEvents, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Hub& hub, std::uint64_t serial, security::Role role);
  ~Connection() override;

  /// To be called once, when the connection's ids are known to the hub.
  void start(const EngineStart& start);

  void receive(const io::Endpoint& from, io::BytesView datagram);
  /// Sends what there is to send.
  void flush();
  void close(std::error_code why);
  /// Tells a client that there is no room for it.
  void refuse(std::error_code why);
  /// Fails with the reason why the connection ended, or `errc::timed_out`, upon which it goes on.
  io::Task<io::Result<>> established_by(io::TimePoint deadline);

  std::uint64_t serial() const { return serial_; }
  security::Role role() const { return role_; }
  bool is_established() const { return remote_key_.has_value(); }
  const crypto::PublicKey& remote_key() const { return *remote_key_; }
  /// Where the remote is now; where it was when the connection has ended.
  io::Endpoint remote() const { return engine_ ? engine_->remote() : remote_; }
  /// Why it has ended.
  std::error_code ended() const { return ended_; }
  std::vector<ConnectionId>& ids() { return ids_; }
  bool address_validated = false;  ///< of a client: by a Retry token

  // For streams and handles.
  io::Task<io::Result<io::StreamPtr>> open_stream();
  io::Task<io::Result<io::StreamPtr>> accept_stream();
  std::size_t streams() const;
  std::size_t unsent_limit() const { return unsent_limit_; }
  void consumed(StreamState& stream, std::size_t bytes);
  void wants_to_send(const StreamStatePtr& stream);
  void abort(StreamState& stream, std::error_code why);

  // EngineEvents
  void fill_random(std::span<std::uint8_t> into) override { hub_->random().fill(into); }
  io::CalendarTime calendar() override { return hub_->scheduler().calendar(); }
  ConnectionId issue_id() override;
  ResetToken reset_token_of(const ConnectionId& own) override { return hub_->tokens().reset_token(own); }
  void on_id_retired(const ConnectionId& own) override;
  void on_reset_token(const ResetToken& token, bool valid) override;
  void on_established() override { established_now_ = true; }
  void on_stream_opened(StreamId id) override;
  void on_stream_data(StreamId id, io::BytesView bytes, bool end) override;
  void on_stream_acknowledged(StreamId id, std::size_t bytes) override;
  void on_stream_reset(StreamId id) override;
  void on_stream_closed(StreamId id, bool in_error) override;

 private:
  void expire();
  void arm();
  /// Posts a flush, so that all that is written at one instant shares datagrams.
  void flush_soon();
  void announce();
  void abort_reset_streams();
  bool write_packets(io::TimePoint now);
  void note_sent(StreamState& stream, std::size_t bytes, bool all);
  StreamPiece next_piece(const StreamState& stream) const;
  void end(const Ending& ending);
  void fail(StreamState& stream, std::error_code why);
  io::StreamPtr handle(StreamStatePtr stream);

  Hub* hub_;
  io::Scheduler& scheduler_;
  std::uint64_t serial_;
  security::Role role_;
  std::size_t unsent_limit_;
  std::unique_ptr<Engine> engine_;
  io::Timer timer_;
  io::TimePoint armed_for_{};
  std::vector<ConnectionId> ids_;
  std::vector<ResetToken> reset_tokens_;
  std::map<StreamId, StreamStatePtr> streams_;
  std::deque<StreamStatePtr> to_accept_;
  std::deque<StreamStatePtr> to_send_;
  std::vector<StreamStatePtr> reset_by_peer_;
  io::Signal changed_;  ///< established, ended, or a stream to accept
  std::optional<crypto::PublicKey> remote_key_;
  io::Endpoint remote_;
  std::error_code ended_;
  bool established_now_ = false;
  bool flush_posted_ = false;
};

/// What users hold: closes the connection when dropped.
muxer::MuxedConnectionPtr muxed(std::shared_ptr<Connection> connection);

}  // namespace flaresim::quic
