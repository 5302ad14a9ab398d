#pragma once

#include <system_error>

namespace flaresim::autonat {

/// Why a probe told nothing, or nothing good.
enum class Error {
  malformed = 1,        ///< no message of this protocol
  message_too_long,     ///< more than the profile allows
  unexpected_message,   ///< well-formed, but not what is due now
  dial_failed,          ///< the server could not reach us
  dial_refused,         ///< the server would not dial any of the addresses
  bad_request,          ///< the server calls our request malformed
  server_failed,        ///< the server says that the fault is its own
  request_rejected,     ///< the server is too busy for us
  unknown_status,       ///< an answer that the specification does not have
  missing_dial_status,  ///< the server dialled, and does not say what came of it
  bad_address_index,    ///< an address that we did not ask for
  too_much_dial_data,   ///< the server wants more bytes than we are ready to pay
  no_dial_back,         ///< the server says that it reached us, and nobody showed our nonce
  wrong_transport,      ///< our nonce came over another transport than the server says
  no_server,            ///< nobody is connected whom we could ask now
  stopped,
};
std::error_code make_error_code(Error error);

}  // namespace flaresim::autonat

template <>
struct std::is_error_code_enum<flaresim::autonat::Error> : std::true_type {};
