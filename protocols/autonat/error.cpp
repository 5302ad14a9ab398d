#include "protocols/autonat/error.h"

#include "protocols/io/error_table.h"

namespace flaresim::autonat {

std::error_code make_error_code(Error error) {
  static constexpr std::string_view messages[] = {
      "message is malformed",
      "message is too long",
      "message is of an unexpected type",
      "server could not dial us",
      "server refused to dial us",
      "server calls our request malformed",
      "server failed",
      "server rejected the request",
      "answer has an unknown status",
      "answer has no dial status",
      "answer is about an address that was not asked for",
      "server wants too much dial data",
      "server did not dial back",
      "dial-back came over another transport",
      "no server to ask",
      "stopped",
  };
  static const io::ErrorTable category("autonat", messages);
  return {static_cast<int>(error), category};
}

}  // namespace flaresim::autonat
