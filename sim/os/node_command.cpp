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

NodeOptions options_of(const NodeArguments& arguments) {
  NodeOptions options{.identity = identity_of(arguments)};
  for (const auto& text : arguments.listen) options.listen.push_back(parse_address("--listen", text));
  for (const auto& text : arguments.reserve) options.reserve.push_back(parse_peer_address("--reserve", text));
  if (!arguments.dial.empty()) options.dial = parse_peer_address("--dial", arguments.dial);
  options.security = arguments.security;
  options.relay_service = arguments.relay_service;
  options.pings = arguments.pings;
  options.punch_wait = std::chrono::milliseconds(arguments.punch_wait_ms);
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
  auto* dial = command->add_option("--dial", arguments->dial, "Connect, identify, ping, and end (…/p2p/PEER)")
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
