#pragma once

#include <string_view>
#include <system_error>

namespace flaresim::relay {

inline constexpr std::string_view hop_protocol = "/libp2p/circuit/relay/0.2.0/hop";
inline constexpr std::string_view stop_protocol = "/libp2p/circuit/relay/0.2.0/stop";

/// How a request was answered. As an error code it says that a remote refused, with a number that may be none
/// of these. Source: libp2p/specs relay/circuit-v2.md, "Protobuf", Status.
enum class Status {
  ok = 100,
  reservation_refused = 200,
  resource_limit_exceeded = 201,
  permission_denied = 202,
  connection_failed = 203,
  no_reservation = 204,
  malformed_message = 400,
  unexpected_message = 401,
};
std::error_code make_error_code(Status status);

/// What is wrong with a message, a reservation, or a circuit.
enum class Error {
  malformed = 1,         ///< no hop or stop message, or one without a type
  message_too_long,      ///< more than 4096 bytes
  unexpected_type,       ///< well-formed, but not what is due now
  missing_status,        ///< an answer without status
  missing_reservation,   ///< a reservation is granted without saying which
  expired,               ///< a reservation that ends in the past
  bad_address,           ///< a relay without a name, or no relay at all
  voucher_malformed,     ///< the payload of a voucher is no voucher
  voucher_not_by_relay,  ///< somebody else signed it, or it names another relay
  voucher_not_for_us,    ///< it names another peer
  data_limit,            ///< the circuit has carried all the bytes it may
  duration_limit,        ///< the circuit has lived as long as it may
  connection_lost,       ///< the connection to the relay ended
  released,              ///< we gave the reservation back, or shut down
};
std::error_code make_error_code(Error error);

}  // namespace flaresim::relay

template <>
struct std::is_error_code_enum<flaresim::relay::Status> : std::true_type {};
template <>
struct std::is_error_code_enum<flaresim::relay::Error> : std::true_type {};
