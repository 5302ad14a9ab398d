#include "protocols/transport/quic/quic_error.h"

#include "protocols/io/error_table.h"

namespace flaresim::quic {

std::error_code make_error_code(QuicError error) {
  static constexpr std::string_view messages[] = {
      "connection was idle for too long",
      "remote did not finish its handshake",
      "closed by the remote",
      "refused by the remote",
      "remote rejected the handshake",
      "remote ended the connection with a transport error",
      "remote has forgotten the connection",
      "remote speaks other versions of QUIC",
      "remote broke the protocol",
      "too many connections wait to be accepted",
      "first datagram does not decrypt",
      "address validation token is invalid",
  };
  static const io::ErrorTable category("quic", messages);
  return {static_cast<int>(error), category};
}

}  // namespace flaresim::quic
