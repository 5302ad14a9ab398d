#pragma once

#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "protocols/io/stream.h"

namespace flaresim::negotiation {

enum class Error {
  not_multistream = 1,  ///< the remote's first message is not `/multistream/1.0.0`
  message_too_long,
  malformed,            ///< no trailing newline, zero length, overlong or cut length prefix
  no_protocol,          ///< the remote refused every proposal, or proposed nothing that we have
  unexpected,           ///< an answer that is neither our proposal nor `na`
  too_many_proposals,
};
std::error_code make_error_code(Error error);

/// Limits of multistream-select 1.0; the defaults' sources stand beside them.
struct MultistreamProfile {
  std::size_t max_message_bytes = 1024;  // specification: none; go-multistream 64 KiB, rust 16 383
  int max_proposals = 32;                // rust-libp2p multistream-select MAX_PROTOCOLS: 1000
};

/// The initiator's side: proposes one protocol after the other and returns the one that the remote agreed to.
/// The header and the first proposal leave in one write, so an agreed first choice costs one round trip.
/// Source: multiformats/multistream-select; libp2p/specs connections/README.md "multistream-select".
io::Task<io::Result<std::string>> select(io::Stream& stream, std::vector<std::string> proposals,
                                         MultistreamProfile profile = {});

/// The responder's side: answers proposals until one is among `supported`.
io::Task<io::Result<std::string>> respond(io::Stream& stream, std::vector<std::string> supported,
                                          MultistreamProfile profile = {});

}  // namespace flaresim::negotiation

template <>
struct std::is_error_code_enum<flaresim::negotiation::Error> : std::true_type {};
