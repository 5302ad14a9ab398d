#include "protocols/muxer/yamux.h"

#include "protocols/io/error_table.h"
#include "protocols/muxer/yamux_session.h"

namespace flaresim::muxer {
namespace {

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
  static constexpr std::string_view messages[] = {
      "unknown version",
      "unknown frame type",
      "stream id out of place",
      "more data than the window allows",
      "window update out of range",
      "frame too long",
      "flags out of place",
      "data after the end of a stream",
      "the remote ended the session",
      "the remote ended the session: protocol error",
      "the remote ended the session: internal error",
      "the remote is silent",
  };
  static const io::ErrorTable category("yamux", messages);
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
