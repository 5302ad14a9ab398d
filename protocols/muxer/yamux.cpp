#include "protocols/muxer/yamux.h"

#include "protocols/muxer/yamux_session.h"

namespace flaresim::muxer {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "yamux"; }
  std::string message(int value) const override {
    switch (static_cast<YamuxError>(value)) {
      case YamuxError::unknown_version:
        return "unknown version";
      case YamuxError::unknown_type:
        return "unknown frame type";
      case YamuxError::bad_stream_id:
        return "stream id out of place";
      case YamuxError::window_exceeded:
        return "more data than the window allows";
      case YamuxError::window_overflow:
        return "window update out of range";
      case YamuxError::frame_too_long:
        return "frame too long";
      case YamuxError::bad_flags:
        return "flags out of place";
      case YamuxError::data_after_fin:
        return "data after the end of a stream";
      case YamuxError::go_away:
        return "the remote ended the session";
      case YamuxError::go_away_protocol:
        return "the remote ended the session: protocol error";
      case YamuxError::go_away_internal:
        return "the remote ended the session: internal error";
      case YamuxError::keep_alive_timeout:
        return "the remote is silent";
    }
    return "unknown";
  }
};

/// What the owner holds: dropping it closes the session, which lives on until its coroutines have unwound.
class YamuxConnection final : public MuxedConnection {
 public:
  explicit YamuxConnection(std::shared_ptr<YamuxSession> session) : session_(std::move(session)) {}
  ~YamuxConnection() override { session_->close(std::make_error_code(std::errc::operation_canceled)); }

  io::Task<io::Result<io::StreamPtr>> open_stream() override { co_return session_->open_stream(); }
  io::Task<io::Result<io::StreamPtr>> accept_stream() override { return accept(session_); }
  void close(std::error_code why) override { session_->close(why); }
  bool closed() const override { return session_->closed(); }
  std::size_t streams() const override { return session_->streams(); }

 private:
  static io::Task<io::Result<io::StreamPtr>> accept(std::shared_ptr<YamuxSession> session) {
    co_return co_await session->accept_stream();
  }

  std::shared_ptr<YamuxSession> session_;
};

}  // namespace

const std::error_category& yamux_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(YamuxError error) { return {static_cast<int>(error), yamux_category()}; }

MuxedConnectionPtr yamux(io::Scheduler& scheduler, io::StreamPtr secured, security::Role role,
                         const YamuxProfile& profile) {
  auto session = std::make_shared<YamuxSession>(scheduler, std::move(secured), role, profile);
  session->start();
  return std::make_shared<YamuxConnection>(std::move(session));
}

}  // namespace flaresim::muxer
