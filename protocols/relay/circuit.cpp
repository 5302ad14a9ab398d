#include "protocols/relay/circuit.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "protocols/io/signal.h"
#include "protocols/relay/relay_error.h"

namespace flaresim::relay {
namespace {

/// What the two directions of a circuit share.
struct Joined {
  Joined(io::Scheduler& scheduler, io::StreamPtr a, io::StreamPtr b)
      : source(std::move(a)), target(std::move(b)), ended(scheduler) {}

  void reset(std::error_code reason) {
    if (!why) why = reason;
    source->reset(reason);
    target->reset(reason);
  }

  io::StreamPtr source;
  io::StreamPtr target;
  io::Signal ended;
  int directions = 2;
  std::error_code why;
  std::uint64_t bytes = 0;
};

/// Carries one direction to its end.
io::Task<std::error_code> carry(std::shared_ptr<Joined> circuit, io::StreamPtr from, io::StreamPtr to,
                                RelayServiceProfile profile) {
  io::Bytes buffer(profile.buffer_bytes);
  auto left = profile.limit.bytes;
  while (left != 0u || profile.at_data_limit == AtDataLimit::reset) {
    // With nothing left, one byte more tells whether the remote has anything to add.
    const auto most =
        std::max<std::uint64_t>(1, std::min<std::uint64_t>(buffer.size(), left.value_or(buffer.size())));
    const auto got = co_await from->read(std::span(buffer).first(most));
    if (!got) co_return got.error();
    if (*got == 0) break;
    if (left == 0u) co_return make_error_code(Error::data_limit);
    const auto written = co_await to->write(io::BytesView(buffer).first(*got));
    if (!written) co_return written.error();
    circuit->bytes += *got;
    if (left) *left -= *got;
  }
  const auto closed = co_await to->close_write();
  co_return closed ? std::error_code() : closed.error();
}

io::Task<> run_direction(std::shared_ptr<Joined> circuit, io::StreamPtr from, io::StreamPtr to,
                         RelayServiceProfile profile) {
  if (const auto error = co_await carry(circuit, std::move(from), std::move(to), profile))
    circuit->reset(error);
  --circuit->directions;
  circuit->ended.notify_all();
}

}  // namespace

io::Task<CircuitEnd> run_circuit(io::Scheduler& scheduler, io::StreamPtr source, io::StreamPtr target,
                                 RelayServiceProfile profile) {
  const auto circuit = std::make_shared<Joined>(scheduler, source, target);
  io::Timer timer(scheduler);
  if (profile.limit.duration) {
    timer.arm_after(*profile.limit.duration,
                    [circuit] { circuit->reset(make_error_code(Error::duration_limit)); });
  }
  io::spawn(scheduler.executor(), run_direction(circuit, source, target, profile));
  io::spawn(scheduler.executor(), run_direction(circuit, target, source, profile));
  while (circuit->directions > 0) co_await circuit->ended.wait();
  co_return CircuitEnd{circuit->why, circuit->bytes};
}

}  // namespace flaresim::relay
