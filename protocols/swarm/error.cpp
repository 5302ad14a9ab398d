#include "protocols/io/error_table.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::swarm {

std::error_code make_error_code(Error error) {
  static constexpr std::string_view messages[] = {
      "no address to dial",
      "no transport for this address",
      "not connected to this peer",
      "only a limited connection to this peer",
      "no handler for this protocol",
      "every address failed",
      "shut down",
      "dialled ourselves",
      "another connection of the same punch is kept",
      "too many connections",
      "trimmed: the connection manager has closed it",
      "not dialled, for it has failed lately",
      "not dialled, for hardly any dial of its kind has succeeded lately",
  };
  static const io::ErrorTable category("swarm", messages);
  return {static_cast<int>(error), category};
}

}  // namespace flaresim::swarm
