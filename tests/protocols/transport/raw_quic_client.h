#pragma once

#include <string>
#include <vector>

#include "tests/protocols/security/tls_forger.h"
#include "tests/protocols/transport/datagram_net.h"

namespace flaresim::support {

/// A QUIC client straight on ngtcp2, that offers these protocols and shows these certificates, or none. Dials, and
/// does what it is told by what comes back, until `limit` has passed.
/// Returns the transport error code by which the server ended the connection; 0 when it did not.
std::uint64_t run_raw_quic_client(DatagramNet& net, io::Network& host, const io::Endpoint& local,
                                  const io::Endpoint& remote, const std::vector<ForgedCertificate>& chain,
                                  const std::vector<std::string>& protocols, io::Duration limit);

}  // namespace flaresim::support
