#include "protocols/swarm/connection.h"

#include <utility>

namespace flaresim::swarm {

Connection::Connection(io::Scheduler& scheduler, Facts facts, muxer::MuxedConnectionPtr muxed,
                       negotiation::MultistreamProfile negotiation, io::Duration negotiation_limit)
    : scheduler_(scheduler),
      facts_(std::move(facts)),
      muxed_(std::move(muxed)),
      negotiation_(negotiation),
      negotiation_limit_(negotiation_limit) {}

io::Task<io::Result<Connection::NegotiatedStream>> Connection::open_stream(
    std::vector<std::string> protocols, std::optional<io::Duration> limit) {
  return open_stream(shared_from_this(), std::move(protocols), limit.value_or(negotiation_limit_));
}

io::Task<io::Result<Connection::NegotiatedStream>> Connection::open_stream(std::shared_ptr<Connection> self,
                                                                           std::vector<std::string> protocols,
                                                                           io::Duration limit) {
  auto stream = co_await self->muxed_->open_stream();
  if (!stream) co_return tl::unexpected(stream.error());

  const io::Deadline deadline(self->scheduler_, *stream, limit);
  auto protocol = co_await negotiation::select(**stream, std::move(protocols), self->negotiation_);
  if (!protocol) {
    (*stream)->reset(protocol.error());
    co_return tl::unexpected(protocol.error());
  }
  co_return NegotiatedStream{std::move(*stream), std::move(*protocol)};
}

void Connection::close(std::error_code why) { muxed_->close(why); }

}  // namespace flaresim::swarm
