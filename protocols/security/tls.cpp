#include "protocols/security/tls.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "protocols/security/tls_session.h"

namespace flaresim::security {
namespace {

/// ALPN for "negotiate the muxer by multistream-select"; it must be the last one offered.
constexpr std::string_view plain_protocol = "libp2p";

std::vector<std::string> protocols_of(const Handshake& handshake) {
  auto protocols = handshake.muxers;
  protocols.emplace_back(plain_protocol);
  return protocols;
}

/// One end of TLS between two buffers. Nothing here waits: GnuTLS is told to try again where input is
/// missing.
class Channel {
 public:
  Channel(io::Scheduler& scheduler, TlsIdentityPtr identity, Handshake handshake);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  void feed(io::BytesView records) { io::append(in_, records); }
  void feed_end() { in_ended_ = true; }
  bool wants_input() const { return in_from_ == in_.size(); }
  /// Records to be sent, once.
  io::Bytes take_output() { return std::exchange(out_, {}); }

  /// True when through, false when more input is needed.
  io::Result<bool> advance();
  /// Nothing when more input is needed, 0 at the end.
  io::Result<std::optional<std::size_t>> decrypt(std::span<std::uint8_t> into);
  io::Result<> encrypt(io::BytesView bytes);
  void close_write() { gnutls_bye(session_.get(), GNUTLS_SHUT_WR); }

  const std::optional<crypto::PublicKey>& remote() const { return remote_; }
  std::string protocol() const { return agreed_protocol(session_.get()); }

 private:
  static Channel& of(gnutls_session_t session) {
    return *static_cast<Channel*>(gnutls_session_get_ptr(session));
  }
  static ssize_t push(gnutls_transport_ptr_t self, const void* data, std::size_t size);
  static ssize_t pull(gnutls_transport_ptr_t self, void* into, std::size_t size);
  static int can_pull(gnutls_transport_ptr_t self, unsigned);
  static int verify(gnutls_session_t session);
  static int log_key(gnutls_session_t session, const char* label, const gnutls_datum_t* secret);
  std::error_code why(int error) const;

  io::Scheduler& scheduler_;
  TlsIdentityPtr identity_;
  std::optional<multiformats::PeerId> expected_;
  std::optional<crypto::PublicKey> remote_;
  std::error_code refused_;
  io::Bytes in_;
  std::size_t in_from_ = 0;
  bool in_ended_ = false;
  io::Bytes out_;
  SessionPtr session_;
};

Channel::Channel(io::Scheduler& scheduler, TlsIdentityPtr identity, Handshake handshake)
    : scheduler_(scheduler),
      identity_(std::move(identity)),
      expected_(std::move(handshake.expected)),
      session_(new_session(*identity_, handshake.role, Carrier::stream, protocols_of(handshake))) {
  auto* const session = session_.get();
  gnutls_session_set_ptr(session, this);
  gnutls_transport_set_ptr(session, this);
  gnutls_transport_set_push_function(session, push);
  gnutls_transport_set_pull_function(session, pull);
  gnutls_transport_set_pull_timeout_function(session, can_pull);
  gnutls_handshake_set_timeout(session, GNUTLS_INDEFINITE_TIMEOUT);  // it would ask the machine's clock
  gnutls_session_set_verify_function(session, verify);
  if (identity_->key_log()) gnutls_session_set_keylog_function(session, log_key);
}

ssize_t Channel::push(gnutls_transport_ptr_t self, const void* data, std::size_t size) {
  io::append(static_cast<Channel*>(self)->out_, {static_cast<const std::uint8_t*>(data), size});
  return static_cast<ssize_t>(size);
}

ssize_t Channel::pull(gnutls_transport_ptr_t self, void* into, std::size_t size) {
  auto& channel = *static_cast<Channel*>(self);
  const auto n = std::min(size, channel.in_.size() - channel.in_from_);
  if (n == 0) {
    if (channel.in_ended_) return 0;
    gnutls_transport_set_errno(channel.session_.get(), EAGAIN);
    return -1;
  }
  std::memcpy(into, channel.in_.data() + channel.in_from_, n);
  channel.in_from_ += n;
  if (channel.wants_input()) {
    channel.in_ = {};
    channel.in_from_ = 0;
  }
  return static_cast<ssize_t>(n);
}

int Channel::can_pull(gnutls_transport_ptr_t self, unsigned) {
  const auto& channel = *static_cast<const Channel*>(self);
  return !channel.wants_input() || channel.in_ended_ ? 1 : 0;
}

int Channel::verify(gnutls_session_t session) {
  auto& channel = of(session);
  auto peer = judge_peer(session, *channel.identity_, channel.expected_, channel.scheduler_.calendar());
  if (!peer) {
    channel.refused_ = peer.error();
    return -1;
  }
  channel.remote_ = std::move(*peer);
  return 0;
}

int Channel::log_key(gnutls_session_t session, const char* label, const gnutls_datum_t* secret) {
  of(session).identity_->key_log()(key_log_line(session, label, *secret));
  return 0;
}

std::error_code Channel::why(int error) const {
  if (refused_) return refused_;
  const bool cut = in_ended_ && wants_input() && error != GNUTLS_E_FATAL_ALERT_RECEIVED;
  if (cut || error == GNUTLS_E_PREMATURE_TERMINATION)
    return std::make_error_code(std::errc::connection_aborted);
  return from_gnutls(error);
}

io::Result<bool> Channel::advance() {
  for (;;) {
    const int outcome = gnutls_handshake(session_.get());
    if (outcome == GNUTLS_E_SUCCESS) return true;
    if (outcome == GNUTLS_E_AGAIN && wants_input()) return false;
    if (gnutls_error_is_fatal(outcome) == 0) continue;  // warnings, and input that is left
    gnutls_alert_send_appropriate(session_.get(), outcome);
    return tl::unexpected(why(outcome));
  }
}

io::Result<std::optional<std::size_t>> Channel::decrypt(std::span<std::uint8_t> into) {
  for (;;) {
    const auto got = gnutls_record_recv(session_.get(), into.data(), into.size());
    if (got >= 0) return std::optional(static_cast<std::size_t>(got));
    if (got == GNUTLS_E_AGAIN && wants_input()) return std::optional<std::size_t>();
    if (gnutls_error_is_fatal(static_cast<int>(got)) != 0) return tl::unexpected(why(static_cast<int>(got)));
    // A session ticket or the like has been dealt with.
  }
}

io::Result<> Channel::encrypt(io::BytesView bytes) {
  while (!bytes.empty()) {
    const auto taken = gnutls_record_send(session_.get(), bytes.data(), bytes.size());
    if (taken < 0) return tl::unexpected(why(static_cast<int>(taken)));
    bytes = bytes.subspan(static_cast<std::size_t>(taken));
  }
  return {};
}

/// Reads from the network what a read or a handshake waits for.
io::Task<io::Result<>> read_more(io::Stream& stream, Channel& channel) {
  std::array<std::uint8_t, 2048> buffer;
  const auto got = co_await stream.read(buffer);
  if (!got) co_return tl::unexpected(got.error());
  if (*got == 0) {
    channel.feed_end();
  } else {
    channel.feed(io::BytesView(buffer).first(*got));
  }
  co_return io::Result<>{};
}

class TlsStream final : public io::Stream {
 public:
  TlsStream(io::StreamPtr stream, std::unique_ptr<Channel> channel)
      : stream_(std::move(stream)), channel_(std::move(channel)) {}
  ~TlsStream() override {
    if (!read_ended_ || !write_ended_) stream_->reset(std::errc::operation_canceled);
  }

  io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override;
  io::Task<io::Result<>> write(io::BytesView bytes) override;
  io::Task<io::Result<>> close_write() override;
  void reset(std::error_code why) override;
  using io::Stream::reset;

 private:
  io::StreamPtr stream_;
  std::unique_ptr<Channel> channel_;
  std::error_code reset_;
  bool read_ended_ = false;
  bool write_ended_ = false;
};

io::Task<io::Result<std::size_t>> TlsStream::read(std::span<std::uint8_t> into) {
  while (!read_ended_) {
    if (reset_) co_return tl::unexpected(reset_);
    const auto got = channel_->decrypt(into);
    if (!got) {
      reset(got.error());
      co_return tl::unexpected(got.error());
    }
    if (*got) {
      read_ended_ = **got == 0;
      co_return **got;
    }
    if (auto more = co_await read_more(*stream_, *channel_); !more) co_return tl::unexpected(more.error());
  }
  co_return 0;
}

io::Task<io::Result<>> TlsStream::write(io::BytesView bytes) {
  static constexpr std::size_t piece_bytes = 64 * 1024;  // bounds the records held at a time
  while (!bytes.empty()) {
    if (reset_) co_return tl::unexpected(reset_);
    const auto piece = bytes.first(std::min(bytes.size(), piece_bytes));
    bytes = bytes.subspan(piece.size());
    if (auto sealed = channel_->encrypt(piece); !sealed) {
      reset(sealed.error());
      co_return sealed;
    }
    const auto records = channel_->take_output();
    if (auto sent = co_await stream_->write(records); !sent) co_return sent;
  }
  co_return io::Result<>{};
}

io::Task<io::Result<>> TlsStream::close_write() {
  if (reset_) co_return tl::unexpected(reset_);
  if (write_ended_) co_return io::Result<>{};
  write_ended_ = true;
  channel_->close_write();
  const auto records = channel_->take_output();
  if (auto sent = co_await stream_->write(records); !sent) co_return sent;
  co_return co_await stream_->close_write();
}

void TlsStream::reset(std::error_code why) {
  if (!reset_) reset_ = why;
  stream_->reset(why);
}

io::Task<io::Result<>> shake_hands(io::Stream& stream, Channel& channel) {
  for (;;) {
    const auto through = channel.advance();
    if (const auto records = channel.take_output(); !records.empty()) {
      const auto sent = co_await stream.write(records);
      if (!sent && through) co_return sent;
    }
    if (!through) co_return tl::unexpected(through.error());
    if (*through) co_return io::Result<>{};
    if (auto more = co_await read_more(stream, channel); !more) co_return more;
  }
}

}  // namespace

io::Task<io::Result<Secured>> tls(io::Scheduler& scheduler, io::StreamPtr stream, TlsIdentityPtr identity,
                                  Handshake handshake) {
  auto channel = std::make_unique<Channel>(scheduler, std::move(identity), std::move(handshake));
  if (auto through = co_await shake_hands(*stream, *channel); !through) {
    stream->reset(through.error());
    co_return tl::unexpected(through.error());
  }
  auto key = *channel->remote();
  auto muxer = channel->protocol();
  if (muxer == plain_protocol) muxer.clear();
  auto secured = std::make_shared<TlsStream>(std::move(stream), std::move(channel));
  const auto remote = key.peer_id();
  co_return Secured{std::move(secured), std::move(key), remote, std::move(muxer)};
}

io::Task<io::Result<Secured>> tls(io::Scheduler& scheduler, io::StreamPtr stream,
                                  const crypto::PrivateKey& identity, io::Random random,
                                  Handshake handshake) {
  auto once = std::make_shared<const TlsIdentity>(identity, random, scheduler.calendar());
  co_return co_await tls(scheduler, std::move(stream), std::move(once), std::move(handshake));
}

}  // namespace flaresim::security
