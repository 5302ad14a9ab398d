#include "tests/protocols/node/faulty_muxer.h"

#include <utility>

namespace flaresim::support {

class Faults::Stream final : public io::Stream {
 public:
  Stream(std::shared_ptr<Faults> faults, const muxer::MuxedConnectionPtr& muxer, io::StreamPtr below)
      : faults_(std::move(faults)), muxer_(muxer), below_(std::move(below)) {
    ++faults_->streams_;
  }
  ~Stream() override { --faults_->streams_; }

  io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override { return below_->read(into); }
  /// What cannot be written any more fails at once, as on any stream, however late an earlier write is.
  io::Task<io::Result<>> write(io::BytesView bytes) override {
    return ended() ? below_->write(bytes) : faults_->write(below_, bytes);
  }
  io::Task<io::Result<>> close_write() override { return below_->close_write(); }
  void reset(std::error_code why) override {
    reset_ = true;
    below_->reset(why);
  }
  using io::Stream::reset;

 private:
  bool ended() const {
    const auto muxer = muxer_.lock();
    return reset_ || !muxer || muxer->closed();
  }

  std::shared_ptr<Faults> faults_;
  std::weak_ptr<muxer::MuxedConnection> muxer_;
  io::StreamPtr below_;
  bool reset_ = false;
};

class Faults::Muxer final : public muxer::MuxedConnection {
 public:
  Muxer(std::shared_ptr<Faults> faults, muxer::MuxedConnectionPtr below)
      : faults_(std::move(faults)), below_(std::move(below)) {}

  io::Task<io::Result<io::StreamPtr>> open_stream() override {
    return wrapped(faults_, below_, below_->open_stream());
  }
  io::Task<io::Result<io::StreamPtr>> accept_stream() override {
    return wrapped(faults_, below_, below_->accept_stream());
  }
  void close(std::error_code why) override { below_->close(why); }
  bool closed() const override { return below_->closed(); }
  std::size_t streams() const override { return below_->streams(); }

 private:
  static io::Task<io::Result<io::StreamPtr>> wrapped(std::shared_ptr<Faults> faults,
                                                     muxer::MuxedConnectionPtr muxer,
                                                     io::Task<io::Result<io::StreamPtr>> below) {
    auto stream = co_await std::move(below);
    if (!stream) co_return stream;
    co_return std::make_shared<Stream>(std::move(faults), muxer, std::move(*stream));
  }

  std::shared_ptr<Faults> faults_;
  muxer::MuxedConnectionPtr below_;
};

muxer::MuxedConnectionPtr Faults::tap(muxer::MuxedConnectionPtr muxed) {
  return std::make_shared<Muxer>(shared_from_this(), std::move(muxed));
}

bool Faults::strikes(double probability) {
  const bool strikes = random_.uniform() < probability;
  if (strikes) ++spoilt_;
  return strikes;
}

io::Task<io::Result<>> Faults::write(io::StreamPtr stream, io::BytesView bytes) {
  const io::Bytes message(bytes.begin(), bytes.end());  // the writer's own may change while we wait
  if (strikes(profile_.delayed)) {
    co_await scheduler_.sleep_for(random_.between(io::Duration::zero(), profile_.longest_delay));
  }
  if (strikes(profile_.dropped)) co_return io::Result<>();
  if (!message.empty() && strikes(profile_.truncated)) {
    co_return co_await stream->write(io::BytesView(message).first(random_.below(message.size())));
  }
  if (strikes(profile_.duplicated)) {
    const auto first = co_await stream->write(message);
    if (!first) co_return first;
  }
  co_return co_await stream->write(message);
}

}  // namespace flaresim::support
