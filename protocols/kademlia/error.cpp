#include "protocols/kademlia/error.h"

#include <string_view>

#include "protocols/io/error_table.h"

namespace flaresim::kademlia {

std::error_code make_error_code(Error error) {
  static constexpr std::string_view messages[] = {
      "message is malformed",
      "request is of an unknown type",
      "key is empty or too long",
      "record is not of this key",
      "answer is not to our request",
      "routing table is empty",
      "peer is no server of the DHT",
      "not found",
      "no validator for keys of this namespace",
      "value is not the public key of this peer",
      "a better value is there",
      "value is too long",
      "store is full",
      "no peer stored it",
      "we have no address that others could reach",
      "no provider that could be stored",
      "peer has too many streams open",
      "stream was idle for too long",
      "we answer no requests",
      "the DHT was stopped",
  };
  static const io::ErrorTable category("kademlia", messages);
  return {static_cast<int>(error), category};
}

}  // namespace flaresim::kademlia
