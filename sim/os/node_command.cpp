#include "sim/os/node_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>

#include "protocols/security/noise.h"
#include "protocols/security/tls.h"
#include "sim/os/node_session.h"

namespace flaresim::os {
namespace {

using multiformats::Multiaddr;

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

struct NodeArguments {
  std::vector<std::string> listen{"/ip4/0.0.0.0/tcp/0"};
  std::string identity;
  std::optional<std::uint64_t> seed;
  crypto::KeyType key_type = crypto::KeyType::ed25519;
  std::vector<std::string> security = swarm::SwarmProfile{}.security;
  bool relay_service = false;
  std::vector<std::string> reserve;
  std::string dial;
  int pings = 3;
  std::uint64_t punch_wait_ms = 10'000;
  std::string autonat;
  std::string dht;
  std::string dht_prefix{kademlia::default_prefix};
  bool dht_private = false;
  std::vector<std::string> dht_accept;
  std::vector<std::string> bootstrap;
  std::vector<std::string> put, get, provide, find_providers, find_peer;
  bool auto_relay = false;
  bool mdns = false;
  bool json = false;
  std::string key_log;
  std::string qlog;
};

/// Bad usage, for people.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

Multiaddr parse_address(const std::string& option, const std::string& text) {
  auto address = Multiaddr::from_string(text);
  if (!address) throw UsageError(fmt::format("{} {}: {}", option, text, address.error().message()));
  return std::move(*address);
}

Multiaddr parse_peer_address(const std::string& option, const std::string& text) {
  auto address = parse_address(option, text);
  if (!address.peer_id()) throw UsageError(fmt::format("{} {}: must end with /p2p/PEER", option, text));
  return address;
}

std::map<std::string, crypto::KeyType> key_types() {
  using crypto::KeyType;
  return {{"ed25519", KeyType::ed25519},
          {"secp256k1", KeyType::secp256k1},
          {"ecdsa", KeyType::ecdsa},
          {"rsa", KeyType::rsa}};
}

std::map<std::string, std::string> security_protocols() {
  return {{"noise", std::string(security::noise_protocol)}, {"tls", std::string(security::tls_protocol)}};
}

crypto::PrivateKey identity_of(const NodeArguments& arguments) {
  auto random = arguments.seed ? io::Random(*arguments.seed) : io::Random::from_entropy();
  if (arguments.identity.empty()) return crypto::PrivateKey::generate(random, arguments.key_type);
  auto key = load_identity(arguments.identity, arguments.key_type);
  if (!key) throw UsageError(fmt::format("--identity {}: {}", arguments.identity, key.error().message()));
  return std::move(*key);
}

std::string complaint(const std::string& option, const std::string& path, std::error_code error) {
  return fmt::format("{} {}: {}", option, path, error.message());
}

/// Opens what `--keylog` or `--qlog` names with one of the functions of node_traces.h.
template <class Open>
auto open_trace(const std::string& option, const std::string& path, Open open) {
  auto trace = open(path, [=](std::error_code error) {
    fmt::print(stderr, "flaresim node: {}\n", complaint(option, path, error));
  });
  if (!trace) throw UsageError(complaint(option, path, trace.error()));
  return std::move(*trace);
}

std::optional<DhtOptions> dht_options_of(const NodeArguments& arguments) {
  if (arguments.dht.empty()) return std::nullopt;
  if (arguments.dht == "client" && !arguments.autonat.empty())
    throw UsageError("--dht client: with --autonat it is auto");
  if (arguments.dht == "auto" && arguments.autonat.empty()) throw UsageError("--dht auto: needs --autonat");
  DhtOptions options{.prefix = arguments.dht_prefix,
                     .private_addresses = arguments.dht_private,
                     .accept = arguments.dht_accept};
  if (arguments.dht == "client") options.mode = kademlia::Mode::client;
  if (arguments.dht == "server") options.mode = kademlia::Mode::server;
  return options;
}

std::vector<DhtTask> dht_tasks_of(const NodeArguments& arguments) {
  using Kind = DhtTask::Kind;
  std::vector<DhtTask> tasks;
  for (const auto& text : arguments.put) {
    const auto equals = text.find('=');
    if (equals == std::string::npos) throw UsageError(fmt::format("--put {}: must be KEY=VALUE", text));
    tasks.push_back({Kind::put, text.substr(0, equals), text.substr(equals + 1)});
  }
  for (const auto& text : arguments.provide) tasks.push_back({Kind::provide, text});
  for (const auto& text : arguments.get) tasks.push_back({Kind::get, text});
  for (const auto& text : arguments.find_providers) tasks.push_back({Kind::find_providers, text});
  for (const auto& text : arguments.find_peer) {
    if (const auto peer = multiformats::PeerId::from_string(text); !peer)
      throw UsageError(fmt::format("--find-peer {}: {}", text, peer.error().message()));
    tasks.push_back({Kind::find_peer, text});
  }
  return tasks;
}

std::optional<node::ReachabilityFrom> autonat_of(const NodeArguments& arguments) {
  if (arguments.autonat == "v1") return node::ReachabilityFrom::v1;
  if (arguments.autonat == "v2") return node::ReachabilityFrom::v2;
  if (arguments.autonat == "both") return node::ReachabilityFrom::both;
  return std::nullopt;
}

NodeOptions options_of(const NodeArguments& arguments) {
  NodeOptions options{.identity = identity_of(arguments)};
  for (const auto& text : arguments.listen) options.listen.push_back(parse_address("--listen", text));
  for (const auto& text : arguments.reserve) options.reserve.push_back(parse_peer_address("--reserve", text));
  if (!arguments.dial.empty()) options.dial = parse_peer_address("--dial", arguments.dial);
  if (options.dial && !options.dial->without_peer() && arguments.dht.empty())
    throw UsageError(fmt::format("--dial {}: without an address, needs --dht to find one", arguments.dial));
  options.security = arguments.security;
  options.relay_service = arguments.relay_service;
  options.pings = arguments.pings;
  options.punch_wait = std::chrono::milliseconds(arguments.punch_wait_ms);
  options.autonat = autonat_of(arguments);
  options.dht = dht_options_of(arguments);
  for (const auto& text : arguments.bootstrap)
    options.bootstrap.push_back(parse_peer_address("--bootstrap", text));
  options.dht_tasks = dht_tasks_of(arguments);
  options.auto_relay = arguments.auto_relay;
  options.mdns = arguments.mdns;
  options.json = arguments.json;
  if (!arguments.key_log.empty()) options.key_log = open_trace("--keylog", arguments.key_log, append_keys_to);
  if (!arguments.qlog.empty()) options.open_qlog = open_trace("--qlog", arguments.qlog, qlogs_in);
  return options;
}

void run(const NodeArguments& arguments) {
  std::optional<NodeOptions> options;
  try {
    options = options_of(arguments);
  } catch (const UsageError& error) {
    fmt::print(stderr, "flaresim node: {}\n", error.what());
    throw CLI::RuntimeError(exit_usage);
  }
  if (!run_node(*options)) throw CLI::RuntimeError(exit_failed);
}

}  // namespace

namespace {

/// Options of the protocols that do without fixed servers.
void add_discovery_options(CLI::App& command, NodeArguments& arguments) {
  const auto each = [](CLI::Option* option, const char* type) {
    return option->type_name(type)->allow_extra_args(false)->take_all();
  };
  command.add_option("--autonat", arguments.autonat, "Ask others whether we can be dialled, and answer them")
      ->type_name("VERSION")
      ->check(CLI::IsMember({"v1", "v2", "both"}));
  auto* dht = command
                  .add_option("--dht", arguments.dht,
                              "Take part in the DHT; auto: as a server while others can dial us")
                  ->type_name("MODE")
                  ->check(CLI::IsMember({"auto", "client", "server"}));
  command.add_option("--dht-prefix", arguments.dht_prefix, "Of the protocol PREFIX/kad/1.0.0")
      ->type_name("PREFIX")
      ->capture_default_str()
      ->needs(dht);
  command.add_flag("--dht-private", arguments.dht_private, "A DHT of private addresses, too")->needs(dht);
  each(command.add_option("--dht-accept", arguments.dht_accept,
                          "Take any value under keys /NAMESPACE/…; repeatable"),
       "NAMESPACE")
      ->needs(dht);
  each(command.add_option("--bootstrap", arguments.bootstrap,
                          "Known to the DHT at first (…/p2p/PEER); repeatable"),
       "MULTIADDR")
      ->needs(dht);
  const auto task = [&](const char* name, std::vector<std::string>& values, const char* what,
                        const char* type) { each(command.add_option(name, values, what), type)->needs(dht); };
  task("--put", arguments.put, "Put a value into the DHT; repeatable", "KEY=VALUE");
  task("--get", arguments.get, "Get a value from the DHT; repeatable", "KEY");
  task("--provide", arguments.provide, "Say in the DHT that we have this content; repeatable", "TEXT");
  task("--find-providers", arguments.find_providers, "Ask the DHT who has this content; repeatable", "TEXT");
  task("--find-peer", arguments.find_peer, "Ask the DHT where a peer is; repeatable", "PEER");
  command
      .add_flag("--auto-relay", arguments.auto_relay, "Reserve on relays of the DHT while nobody can dial us")
      ->needs(dht);
  command.add_flag("--mdns", arguments.mdns, "Find peers of the local network, and be found");
}

}  // namespace

void add_node_command(CLI::App& program) {
  auto* command = program.add_subcommand("node", "Run a peer on this machine's real network");
  auto arguments = std::make_shared<NodeArguments>();
  const auto repeatable = [](CLI::Option* option) {
    option->type_name("MULTIADDR")->allow_extra_args(false)->take_all();
    return option;
  };
  repeatable(command->add_option("--listen", arguments->listen, "Where to listen; repeatable"))
      ->capture_default_str();
  auto* identity =
      command->add_option("--identity", arguments->identity, "Private key; made when there is none")
          ->type_name("FILE");
  command
      ->add_option("--seed", arguments->seed, "Identity from a number that anyone can guess: for tests only")
      ->type_name("N")
      ->excludes(identity);
  command->add_option("--key-type", arguments->key_type, "Type of a key that is made")
      ->transform(CLI::CheckedTransformer(key_types()))
      ->type_name("TYPE")
      ->default_str("ed25519");
  command
      ->add_option("--security", arguments->security,
                   "What TCP and relayed connections are secured with, the preferred one first")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->transform(CLI::CheckedTransformer(security_protocols()))
      ->type_name("LIST")
      ->default_str("noise,tls");
  command->add_flag("--relay-service", arguments->relay_service, "Relay for others");
  repeatable(command->add_option("--reserve", arguments->reserve,
                                 "Be reachable through this relay (…/p2p/RELAY); repeatable"));
  auto* dial =
      command
          ->add_option("--dial", arguments->dial,
                       "Connect, identify, ping, and end (…/p2p/PEER; /p2p/PEER: where the DHT says)")
          ->type_name("MULTIADDR");
  command->add_option("--ping", arguments->pings, "How often to ping the dialled peer")
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str()
      ->needs(dial);
  command
      ->add_option("--punch-wait", arguments->punch_wait_ms,
                   "How long to wait for a direct connection after a relayed one, such as 500ms or 10s")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, std::uint64_t>{{"ms", 1}, {"s", 1000}},
                                        CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME"))
      ->default_str("10s")
      ->needs(dial);
  add_discovery_options(*command, *arguments);
  command
      ->add_option("--keylog", arguments->key_log,
                   "Add what decrypts TLS and QUIC to this file, for Wireshark (an NSS key log)")
      ->type_name("FILE");
  command->add_option("--qlog", arguments->qlog, "Keep a qlog of every QUIC connection in this folder")
      ->type_name("DIR");
  command->add_flag("--json", arguments->json, "One JSON object a line");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace flaresim::os
