#pragma once

#include <system_error>

namespace flaresim::kademlia {

/// Why a request of ours came to nothing, or what is wrong with another's.
enum class Error {
  malformed = 1,      ///< no message of the DHT
  unknown_type,       ///< a request that nobody knows
  bad_key,            ///< empty, or longer than keys of its kind may be
  key_mismatch,       ///< a record that is not of the key it came under
  unexpected_answer,  ///< an answer to another request than ours
  no_peers,           ///< the routing table is empty
  not_a_server,       ///< the peer does not speak the protocol
  not_found,          ///< the lookup ended without it
  no_validator,       ///< nobody can say whether such a value is valid
  bad_public_key,     ///< a value under `/pk/` that is not the key of that peer
  outdated,           ///< we hold a better value
  value_too_long,     ///< more than `RecordLimits::max_value_bytes`
  store_full,         ///< at a bound of our stores
  not_stored,         ///< no peer took it
  no_address,         ///< we cannot be reached, so nobody could make use of us
  no_valid_provider,  ///< a provider that is not the sender, or cannot be reached
  too_many_streams,   ///< at `DhtProfile::max_inbound_streams` or its like
  idle,               ///< a stream without request for too long
  client_mode,        ///< we do not answer any more
  stopped,
};
std::error_code make_error_code(Error error);

}  // namespace flaresim::kademlia

template <>
struct std::is_error_code_enum<flaresim::kademlia::Error> : std::true_type {};
