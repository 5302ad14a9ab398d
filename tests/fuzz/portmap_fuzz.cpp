// The client of port mapping against gateways that answer anything. An input is which protocols are in use, and the
// answers to its datagrams and HTTP requests, in the order in which these leave.

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>

#include "protocols/portmap/port_mapper.h"
#include "sim/gateway/igd.h"
#include "sim/gateway/nat_pmp.h"
#include "sim/gateway/pcp.h"
#include "tests/fuzz/gateway_input.h"
#include "tests/protocols/support/answering_lan.h"
#include "tests/protocols/support/test_scheduler.h"

namespace {

using namespace flaresim;
using fuzz::Bytes;
using support::AnsweringLan;
using namespace std::chrono_literals;

io::Task<> release(portmap::PortMapper& mapper) { (void)co_await mapper.release(); }

const auto& host = AnsweringLan::host;

/// The client's life: says how many ports were mapped.
std::size_t live(support::TestScheduler& scheduler, std::uint8_t kind, AnsweringLan::Answer answer) {
  AnsweringLan lan(scheduler, std::move(answer));
  std::size_t count = 0;
  {
    portmap::PortMapProfile profile;
    if (kind % 8 != 0) profile.pcp = kind & 1, profile.nat_pmp = kind & 2, profile.igd = kind & 4;
    portmap::PortMapper mapper(lan, profile);
    mapper.want(portmap::Transport::tcp, 4001);
    mapper.want(portmap::Transport::udp, 4002);
    scheduler.run_for(65s);
    for (const auto& port : mapper.mapped()) {
      if (port.outside.port == 0 || !port.outside.address.is_v4()) std::abort();
      ++count;
    }
    if (kind & 8) {
      io::spawn(scheduler.executor(), release(mapper));
      scheduler.run_for(30s);
      if (scheduler.armed_timers() != 0) std::abort();
    }
  }
  scheduler.settle();
  if (scheduler.armed_timers() != 0 || lan.open() != 0) std::abort();
  return count;
}

/// A gateway that works, and keeps what it answers.
class Gateway {
 public:
  explicit Gateway(int version)
      : map_(clock_, io::Random(std::uint64_t{1}), ports_, {.nat_pmp = true, .pcp = true, .igd = version}) {}

  Bytes answer(const io::Endpoint& to, io::BytesView request) {
    const io::Endpoint from{host, 1234};
    const auto text = io::as_text(request);
    Bytes out;
    if (to.port == gateway::ssdp_port) {
      const auto found = igd_.answer_search(text);
      if (!found.empty()) out = io::to_bytes(found.front());
    } else if (to.port == gateway::control_port) {
      out = request[0] == 0 ? answer_nat_pmp(map_, request, from) : answer_pcp(map_, request, from);
    } else {
      out = io::to_bytes(answer_http(text));
    }
    answers_.emplace_back(out.begin(), out.end());
    return out;
  }
  const std::vector<std::string>& answers() const { return answers_; }

 private:
  std::string answer_http(const std::string& text) {
    const auto between = [&](std::string_view before, std::string_view after) {
      const auto at = text.find(before);
      if (at == std::string::npos) return std::string();
      const auto from = at + before.size();
      return text.substr(from, text.find(after, from) - from);
    };
    const auto response = igd_.answer({.method = text.substr(0, text.find(' ')),
                                       .target = between(" ", " "),
                                       .soap_action = between("SOAPAction: ", "\r\n"),
                                       .body = text.substr(text.find("\r\n\r\n") + 4)},
                                      host);
    return "HTTP/1.1 " + std::to_string(response.status) +
           " x\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\n\r\n" + response.body;
  }

  support::TestScheduler clock_;  // stands still
  fuzz::Ports ports_;
  gateway::PortMap map_;
  gateway::Igd igd_{map_, "http://192.168.1.1:5000/rootDesc.xml", "uuid"};
  std::vector<std::string> answers_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  support::TestScheduler scheduler;
  const auto messages = fuzz::messages_of({data, size});
  std::size_t next = 0;
  live(scheduler, data[0], [&](const io::Endpoint&, io::BytesView) -> std::optional<Bytes> {
    if (next == messages.size()) return std::nullopt;
    return messages[next++];
  });
  return 0;
}

/// What gateways of ours say to each protocol, and to all at once; with and without an end that they are told of.
std::vector<Bytes> first_inputs() {
  std::vector<Bytes> all;
  for (const std::uint8_t kind : {0, 1, 2, 4, 8, 9, 10, 12}) {
    for (const int version : {1, 2}) {
      support::TestScheduler scheduler;
      Gateway gateway(version);
      const auto mapped = live(scheduler, kind, [&](const io::Endpoint& to, io::BytesView request) {
        return std::optional(gateway.answer(to, request));
      });
      if (mapped != 2) std::abort();
      all.push_back(fuzz::to_input(kind, gateway.answers()));
    }
  }
  return all;
}
