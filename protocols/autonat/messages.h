#pragma once

#include "protocols/autonat/autonat.pb.h"
#include "protocols/autonat/error.h"
#include "protocols/io/stream.h"

namespace flaresim::autonat {

/// libp2p/specs autonat/autonat-v1.md, MessageType
enum class V1Type { dial = 0, dial_response = 1 };
/// ... ResponseStatus
enum class V1Status {
  ok = 0,
  dial_error = 100,
  dial_refused = 101,
  bad_request = 200,
  internal_error = 300,
};
/// libp2p/specs autonat/autonat-v2.md, ResponseStatus
enum class V2Status { internal_error = 0, request_rejected = 100, dial_refused = 101, ok = 200 };
/// ... DialStatus
enum class DialStatus { unused = 0, dial_error = 100, dial_back_error = 101, ok = 200 };

/// Read one message each. Fail with `Error::message_too_long` above `max_bytes`, `Error::malformed` when its length or
/// body is none; else as the stream does.
io::Task<io::Result<pb::V1Message>> read_v1(io::Stream& stream, std::size_t max_bytes);
io::Task<io::Result<pb::V2Message>> read_v2(io::Stream& stream, std::size_t max_bytes);
io::Task<io::Result<pb::DialBack>> read_dial_back(io::Stream& stream, std::size_t max_bytes);

io::Task<io::Result<>> write(io::Stream& stream, pb::V1Message message);
io::Task<io::Result<>> write(io::Stream& stream, pb::V2Message message);
io::Task<io::Result<>> write(io::Stream& stream, pb::DialBack message);
io::Task<io::Result<>> write(io::Stream& stream, pb::DialBackResponse message);

}  // namespace flaresim::autonat
