#include <array>

#include "protocols/io/error_table.h"
#include "protocols/portmap/gateway.h"

namespace flaresim::portmap {

std::error_code make_error_code(Error error) {
  static constexpr std::array<std::string_view, 11> messages{
      "no gateway that maps ports was found",
      "there is no default route",
      "the gateway's answer is malformed",
      "the gateway does not support the request",
      "the gateway does not allow the mapping",
      "the gateway has no port left for us",
      "the outside port belongs to somebody else",
      "the gateway takes permanent leases only",
      "the gateway sees us under another address",
      "the gateway has no outside address",
      "the gateway failed",
  };
  static const io::ErrorTable category("port mapping", messages);
  return {static_cast<int>(error), category};
}

}  // namespace flaresim::portmap
