#include <string>

#include "protocols/swarm/swarm.h"

namespace flaresim::swarm {
namespace {

class Category : public std::error_category {
 public:
  const char* name() const noexcept override { return "swarm"; }
  std::string message(int value) const override {
    switch (static_cast<Error>(value)) {
      case Error::no_address:
        return "no address to dial";
      case Error::no_transport:
        return "no transport for this address";
      case Error::not_connected:
        return "not connected to this peer";
      case Error::limited_connection:
        return "only a limited connection to this peer";
      case Error::no_handler:
        return "no handler for this protocol";
      case Error::dial_failed:
        return "every address failed";
      case Error::shut_down:
        return "shut down";
      case Error::duplicate:
        return "another connection of the same punch is kept";
      case Error::self_dial:
        return "dialled ourselves";
      case Error::too_many_connections:
        return "too many connections";
      case Error::trimmed:
        return "trimmed: the connection manager has closed it";
      case Error::backed_off:
        return "not dialled, for it has failed lately";
      case Error::black_hole:
        return "not dialled, for hardly any dial of its kind has succeeded lately";
    }
    return "unknown swarm error";
  }
};

}  // namespace

std::error_code make_error_code(Error error) {
  static const Category category;
  return {static_cast<int>(error), category};
}

}  // namespace flaresim::swarm
