#include "sim/world/recorder.h"

#include <fmt/core.h>

#include <algorithm>
#include <stdexcept>

#include "sim/world/pair_world.h"

namespace flaresim::world {

Recorder::Recorder(const TrialOptions& options, Trial& trial) : options_(options), trial_(trial) {
  if (options_.captures.keys) keys_ = &open(".keys");
}

PairWorld::Tap Recorder::tap() {
  return [this](const std::string& machine, swarm::SwarmProfile& profile) {
    if (keys_) profile.tls.key_log = [this](std::string_view line) { log_key(line); };
    if (options_.captures.qlog) {
      profile.quic.open_qlog = [this, machine](std::string_view connection) {
        return open_qlog(fmt::format("-{}-{}.sqlog", machine, connection));
      };
    }
  };
}

void Recorder::attach(PairWorld& world) {
  if (options_.timeline) trace(world);
  if (!options_.captures.packets) return;
  world.a().host->capture(capture(world, "a-host"));
  world.b().host->capture(capture(world, "b-host"));
  for (auto& gateway : world.gateways()) {
    gateway.box->capture_inside(capture(world, gateway.name + "-inside"));
    gateway.box->capture_outside(capture(world, gateway.name + "-outside"));
  }
  if (!world.began().time_since_epoch().count()) {
    world.relay().host->capture(capture(world, "relay"));
    return;
  }
  // Any of them may become the relay.
  for (auto& server : world.servers()) server.host->capture(capture(world, server.name));
}

Recorder::File& Recorder::open(const std::string& name) {
  auto& file = files_.emplace_back();
  file.path = fmt::format("{}/{}{}", options_.captures.directory, trial_.index, name);
  file.out.open(file.path, std::ios::binary | std::ios::trunc);
  return file;
}

net::Capture* Recorder::capture(PairWorld& world, const std::string& point) {
  return &captures_.emplace_back(world.simulation(), open(fmt::format("-{}.pcap", point)).out);
}

void Recorder::log_key(std::string_view line) {
  if (!finished_ && known_keys_.emplace(line).second) keys_->out << line;
}

quic::QlogSink Recorder::open_qlog(const std::string& name) {
  return [this, &file = open(name)](std::string_view piece) {
    if (!finished_) file.out << piece;
  };
}

void Recorder::trace(PairWorld& world) {
  const auto say = [this, &world](const std::string& node, std::string_view what, std::string detail) {
    this->say(world, node, what, std::move(detail));
  };
  world.on_trace(say);
  for (auto* machine : {&world.a(), &world.b()}) {
    machine->host->on_syn([say, name = machine->name](const net::SynEvent& syn) {
      say(name, fmt::format("{}.{}", syn.ack ? "syn-ack" : "syn", syn.sent ? "sent" : "received"),
          fmt::format("{} {} {}", io::to_string(syn.local), syn.sent ? "->" : "<-",
                      io::to_string(syn.remote)));
    });
  }
  for (auto& gateway : world.gateways()) {
    gateway.box->on_verdict([say, name = gateway.name](const net::NatEvent& event) {
      if (event.forwarded) return;
      say(name, event.answered ? "nat.answer" : "nat.drop",
          fmt::format("{}: {}", event.restarting ? "restarting" : nat::to_string(event.rule),
                      net::to_string(event.packet)));
    });
  }
}

void Recorder::say(const PairWorld& world, const std::string& node, std::string_view what,
                   std::string detail) {
  const auto at = world.since_began();
  if (finished_ || !options_.timeline || at < io::Duration::zero()) return;
  trial_.timeline.push_back({at, node, std::string(what), std::move(detail)});
}

void Recorder::finish() {
  finished_ = true;
  for (auto& file : files_) {
    file.out.flush();
    if (!file.out) throw std::runtime_error("cannot write " + file.path);
  }
}

}  // namespace flaresim::world
