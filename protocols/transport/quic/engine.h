#pragma once

#include <memory>
#include <optional>
#include <span>

#include "protocols/crypto/keys.h"
#include "protocols/io/network.h"
#include "protocols/security/security.h"
#include "protocols/security/tls_identity.h"
#include "protocols/transport/quic/connection_id.h"
#include "protocols/transport/quic/profile.h"

/// QUIC without sockets, clocks or coroutines. All of ngtcp2 0.12, whose interface is not stable yet, is behind
/// this header.
namespace flaresim::quic {

using StreamId = std::int64_t;

inline constexpr std::size_t max_datagram_bytes = 1500;
inline constexpr std::size_t min_initial_bytes = 1200;  // RFC 9000 §14.1

// --- Datagrams that belong to no connection.

/// What a datagram says about where it belongs.
struct Header {
  enum class Kind {
    unreadable,
    unknown_version,  ///< and long enough to be answered by a Version Negotiation
    long_header,
    short_header,
  };
  Kind kind = Kind::unreadable;
  ConnectionId destination;  ///< of the last two kinds
};
Header read_header(io::BytesView datagram);

/// The first packet of a client.
struct Initial {
  ConnectionId destination;
  ConnectionId source;
  io::Bytes token;
};
/// Nothing when a server cannot begin a connection with this datagram (RFC 9000 §14.1, §7.2).
std::optional<Initial> read_initial(io::BytesView datagram);

/// The answer to a datagram of kind `unknown_version`. `unused` is random. RFC 9000 §17.2.1.
io::Bytes version_negotiation(io::BytesView datagram, std::uint8_t unused);
io::Bytes retry_packet(const Initial& initial, const ConnectionId& source, io::BytesView token);
enum class RefusalCode { connection_refused = 0x2, invalid_token = 0xb };
io::Bytes refusal_packet(const Initial& initial, RefusalCode code);

// --- One connection.

/// What an engine asks for and tells while it is being called. Nothing here may call the engine or destroy it.
class EngineEvents {
 public:
  virtual ~EngineEvents() = default;

  virtual void fill_random(std::span<std::uint8_t> into) = 0;
  virtual io::CalendarTime calendar() = 0;
  /// A new id by which the remote will address this connection.
  virtual ConnectionId issue_id() = 0;
  virtual ResetToken reset_token_of(const ConnectionId& own) = 0;
  virtual void on_id_retired(const ConnectionId& own) = 0;
  /// A datagram that ends with this token means that the remote has forgotten us.
  virtual void on_reset_token(const ResetToken& token, bool valid) = 0;

  virtual void on_established() = 0;
  virtual void on_stream_opened(StreamId id) = 0;
  virtual void on_stream_data(StreamId id, io::BytesView bytes, bool end) = 0;
  /// So many more bytes from the front of what was sent need not be kept.
  virtual void on_stream_acknowledged(StreamId id, std::size_t bytes) = 0;
  virtual void on_stream_reset(StreamId id) = 0;
  /// Both directions are over, and nothing of the stream is kept.
  virtual void on_stream_closed(StreamId id, bool in_error) = 0;
};

struct EngineStart {
  security::Role role = security::Role::client;
  io::Endpoint local;
  io::Endpoint remote;
  ConnectionId own;    ///< ours
  ConnectionId peers;  ///< client: random, of at least 8 bytes; server: the client's
  io::Duration handshake_timeout{};
  std::optional<multiformats::PeerId> expected;
  // Server only.
  ConnectionId original_destination;         ///< of the client's very first Initial
  std::optional<ConnectionId> retry_source;  ///< the id that our Retry gave
  io::Bytes token;                           ///< the one that came back
};

/// Why and how a connection ends.
struct Ending {
  enum class How {
    silent,    ///< nobody is there, or nobody who deserves an answer
    draining,  ///< the remote ended it
    closing,   ///< we end it: `close_packet` tells the remote
  };
  How how = How::silent;
  std::error_code why;
};

struct StreamPiece {
  StreamId id = 0;
  io::BytesView bytes;  ///< must stay where it is until acknowledged
  bool end = false;     ///< nothing follows
};

struct Written {
  enum class State {
    nothing,         ///< nothing more to send, or not now
    packet,          ///< a datagram is complete
    more,            ///< it has room for more: call again with the same buffer
    stream_blocked,  ///< by flow control; call again with another stream, or none
    stream_ended,    ///< the remote does not want more; likewise
    failed,
  };
  State state = State::nothing;
  std::size_t packet_bytes = 0;
  std::optional<std::size_t> taken;  ///< of the piece; with all of it, its end too
  io::Endpoint to;
  Ending ending;
};

/// One connection. Datagrams and the time go in; events, datagrams and the next deadline come out.
///
/// 1. After `read`, `expire`, and any call that changes a stream, `write` until it has nothing to send, then
///    `end_writing`.
/// 2. Once an Ending has been returned only `close_packet` may be called.
/// 3. The TLS session is freed when the handshake is confirmed: it is most of an idle connection's memory.
class Engine {
 public:
  Engine(const EngineStart& start, const QuicProfile& profile, security::TlsIdentityPtr identity,
         EngineEvents& events, io::TimePoint now);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  std::optional<Ending> read(const io::Endpoint& from, io::BytesView datagram, io::TimePoint now);
  std::optional<Ending> expire(io::TimePoint now);
  /// When `expire` is due.
  io::TimePoint expiry() const;

  Written write(std::span<std::uint8_t> into, const StreamPiece* piece, io::TimePoint now);
  void end_writing(io::TimePoint now);
  /// How much to send in one go.
  std::size_t burst_bytes() const;

  /// Nothing at the remote's limit.
  std::optional<StreamId> open_stream();
  /// The application has taken so many bytes: the remote may send that many more. May be called from events.
  void consume(StreamId id, std::size_t bytes);
  /// Ends both directions: RESET_STREAM and STOP_SENDING.
  void abort_stream(StreamId id);

  /// Ends the connection on the application's behalf.
  Ending close(std::error_code why);
  /// The same for a server that has no room.
  Ending refuse(std::error_code why);
  /// The datagram for an Ending of kind `closing`; empty when none can be sent.
  io::Bytes close_packet(io::TimePoint now);
  /// RFC 9000 §10.2: three times the probe timeout.
  io::Duration lingering() const;

  io::Endpoint remote() const;
  /// Of whoever is on the other end; after `on_established`.
  const crypto::PublicKey& remote_key() const;

 private:
  struct Native;
  std::unique_ptr<Native> native_;
};

}  // namespace flaresim::quic
