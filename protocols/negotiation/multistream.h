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
  message_too_long,     ///< a length above `max_message_bytes`; the body is not read
  malformed,            ///< no trailing newline, zero length, or a length that is no shortest-form varint
  no_protocol,          ///< the remote refused every proposal, or proposed nothing that we have
  unexpected,           ///< an answer that is neither our proposal nor `na`
  too_many_proposals,   ///< the remote went on after `max_proposals` refusals
};
std::error_code make_error_code(Error error);

/// Limits of multistream-select 1.0; the defaults' sources stand beside them.
struct MultistreamProfile {
  std::size_t max_message_bytes = 1024;  // specification: none; go-multistream 64 KiB, rust 16 383
  int max_proposals = 32;                // rust-libp2p multistream-select MAX_PROTOCOLS: 1000
};

/// The initiator's side: proposes one protocol after the other and returns the one that the remote agreed to.
///
/// 1. The header and the first proposal leave in one write, so an agreed first choice costs one round trip.
/// 2. Reads not a byte more than the negotiation: what follows belongs to the agreed protocol.
/// 3. On failure the stream is reset. `errc::connection_aborted` is a stream that ended inside the
///    negotiation.
/// 4. Has no time limit of its own (io::Deadline on the stream).
/// Source: multiformats/multistream-select; libp2p/specs connections/README.md "multistream-select".
io::Task<io::Result<std::string>> select(io::Stream& stream, std::vector<std::string> proposals,
                                         MultistreamProfile profile = {});

/// The responder's side: answers proposals until one is among `supported`. The same rules as for `select`;
/// what is pipelined behind a proposal stays in the stream. The historical command `ls` is answered like any
/// unknown name.
io::Task<io::Result<std::string>> respond(io::Stream& stream, std::vector<std::string> supported,
                                          MultistreamProfile profile = {});

}  // namespace flaresim::negotiation

template <>
struct std::is_error_code_enum<flaresim::negotiation::Error> : std::true_type {};
