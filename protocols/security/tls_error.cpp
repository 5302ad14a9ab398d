#include "protocols/security/tls_error.h"

#include "protocols/io/error_table.h"

namespace flaresim::security {

std::error_code make_error_code(TlsError error) {
  static constexpr std::string_view messages[] = {
      "no certificate",
      "more than one certificate",
      "certificate is malformed",
      "certificate is not signed by its own key",
      "certificate is not valid yet",
      "certificate has expired",
      "certificate has an unknown critical extension",
      "certificate has no libp2p extension",
      "libp2p extension is malformed",
      "host key is malformed",
      "host key did not sign the certificate's key",
      "another peer answered",
      "no common application protocol",
      "no common TLS version or cipher suite",
      "message does not verify",
      "message is malformed",
      "handshake failed",
      "remote gave up the handshake",
  };
  static const io::ErrorTable category("tls", messages);
  return {static_cast<int>(error), category};
}

}  // namespace flaresim::security
