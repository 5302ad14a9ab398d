#include "sim/world/recorder.h"

#include <fmt/core.h>

#include <algorithm>
#include <stdexcept>

#include "sim/world/pair_world.h"

namespace flaresim::world {

void Recorder::attach(PairWorld& world) {
  if (options_.timeline) trace(world);
  if (!captures()) return;
  for (auto* machine : {&world.a(), &world.b()}) {
    const auto name = machine->name == "A" ? "a" : "b";
    machine->host->capture(open(world, fmt::format("{}-host", name)));
    machine->gateway->capture_inside(open(world, fmt::format("{}-nat-inside", name)));
    machine->gateway->capture_outside(open(world, fmt::format("{}-nat-outside", name)));
  }
  world.relay().host->capture(open(world, "relay"));
}

net::Capture* Recorder::open(PairWorld& world, const std::string& point) {
  auto& file = files_.emplace_back();
  file.path = fmt::format("{}/{}-{}.pcap", options_.pcap_directory, trial_.index, point);
  file.out.open(file.path, std::ios::binary | std::ios::trunc);
  if (!file.out) throw std::runtime_error("cannot write " + file.path);
  file.capture = std::make_unique<net::Capture>(world.simulation(), file.out);
  return file.capture.get();
}

void Recorder::trace(PairWorld& world) {
  const auto say = [this, &world](const std::string& node, std::string_view what, std::string detail) {
    if (finished_) return;
    trial_.timeline.push_back(
        {world.simulation().now().time_since_epoch(), node, std::string(what), std::move(detail)});
  };
  world.for_each_machine([&](Machine& machine) {
    machine.node->swarm().set_trace(
        [say, name = machine.name](std::string_view what, const std::string& detail) {
          say(name, what, detail);
        });
    if (!machine.gateway) return;
    machine.host->on_syn([say, name = machine.name](const net::SynEvent& syn) {
      say(name, fmt::format("{}.{}", syn.ack ? "syn-ack" : "syn", syn.sent ? "sent" : "received"),
          fmt::format("{} {} {}", io::to_string(syn.local), syn.sent ? "->" : "<-",
                      io::to_string(syn.remote)));
    });
    auto name = "nat-" + std::string(machine.name == "A" ? "a" : "b");
    machine.gateway->on_verdict([say, name = std::move(name)](const net::NatEvent& event) {
      if (event.forwarded) return;
      say(name, event.answered ? "nat.answer" : "nat.drop",
          fmt::format("{}: {}", nat::to_string(event.rule), net::to_string(event.packet)));
    });
  });
}

void Recorder::finish() {
  finished_ = true;
  for (auto& file : files_) {
    file.out.flush();
    if (!file.out) throw std::runtime_error("cannot write " + file.path);
  }
}

}  // namespace flaresim::world
