#include "protocols/negotiation/multistream.h"

#include <algorithm>
#include <utility>

#include "protocols/io/error_table.h"

namespace flaresim::negotiation {
namespace {

constexpr std::string_view header = "/multistream/1.0.0";
constexpr std::string_view refusal = "na";

void append_message(io::Bytes& to, std::string_view text) {
  for (auto length = text.size() + 1;; length >>= 7) {
    if (length < 0x80) {
      to.push_back(static_cast<std::uint8_t>(length));
      break;
    }
    to.push_back(static_cast<std::uint8_t>(length | 0x80));
  }
  io::append(to, io::as_bytes(text));
  to.push_back('\n');
}

/// One message without its newline.
io::Task<io::Result<std::string>> read_message(io::Stream& stream, std::size_t max_bytes) {
  const auto message = co_await io::read_delimited(stream, max_bytes);
  if (!message) {
    if (message.error() == std::errc::message_size) co_return io::fail(Error::message_too_long);
    if (message.error() == std::errc::bad_message) co_return io::fail(Error::malformed);
    co_return tl::unexpected(message.error());
  }
  if (message->empty() || message->back() != '\n') co_return io::fail(Error::malformed);
  co_return std::string(message->begin(), message->end() - 1);
}

io::Task<io::Result<>> read_header(io::Stream& stream, std::size_t max_bytes) {
  const auto first = co_await read_message(stream, max_bytes);
  if (!first) co_return tl::unexpected(first.error());
  if (*first != header) co_return io::fail(Error::not_multistream);
  co_return io::Result<>{};
}

io::Task<io::Result<std::string>> propose(io::Stream& stream, const std::vector<std::string>& proposals,
                                          MultistreamProfile profile) {
  io::Bytes message;
  append_message(message, header);
  for (bool first = true; const auto& proposal : proposals) {
    append_message(message, proposal);
    if (auto sent = co_await stream.write(message); !sent) co_return tl::unexpected(sent.error());
    message.clear();
    if (std::exchange(first, false)) {
      const auto greeted = co_await read_header(stream, profile.max_message_bytes);
      if (!greeted) co_return tl::unexpected(greeted.error());
    }
    const auto answer = co_await read_message(stream, profile.max_message_bytes);
    if (!answer) co_return tl::unexpected(answer.error());
    if (*answer == proposal) co_return proposal;
    if (*answer != refusal) co_return io::fail(Error::unexpected);
  }
  co_return io::fail(Error::no_protocol);
}

io::Task<io::Result<std::string>> answer_proposals(io::Stream& stream,
                                                   const std::vector<std::string>& supported,
                                                   MultistreamProfile profile) {
  const auto greeted = co_await read_header(stream, profile.max_message_bytes);
  if (!greeted) co_return tl::unexpected(greeted.error());
  // An initiator may wait for this before it proposes anything.
  io::Bytes message;
  append_message(message, header);
  if (auto sent = co_await stream.write(message); !sent) co_return tl::unexpected(sent.error());

  for (int refused = 0; refused < profile.max_proposals; ++refused) {
    const auto proposal = co_await read_message(stream, profile.max_message_bytes);
    if (!proposal) {
      const bool gave_up = refused > 0 && proposal.error() == std::errc::connection_aborted;
      if (gave_up) co_return io::fail(Error::no_protocol);
      co_return tl::unexpected(proposal.error());
    }
    const bool agreed = std::find(supported.begin(), supported.end(), *proposal) != supported.end();
    message.clear();
    append_message(message, agreed ? std::string_view(*proposal) : refusal);
    if (auto sent = co_await stream.write(message); !sent) co_return tl::unexpected(sent.error());
    if (agreed) co_return *proposal;
  }
  co_return io::fail(Error::too_many_proposals);
}

}  // namespace

std::error_code make_error_code(Error error) {
  static constexpr std::string_view messages[] = {
      "the remote does not speak multistream-select 1.0",
      "message too long",
      "malformed message",
      "no common protocol",
      "unexpected answer",
      "too many proposals",
  };
  static const io::ErrorTable category("multistream", messages);
  return {static_cast<int>(error), category};
}

io::Task<io::Result<std::string>> select(io::Stream& stream, std::vector<std::string> proposals,
                                         MultistreamProfile profile) {
  auto agreed = co_await propose(stream, proposals, profile);
  if (!agreed) stream.reset(agreed.error());
  co_return agreed;
}

io::Task<io::Result<std::string>> respond(io::Stream& stream, std::vector<std::string> supported,
                                          MultistreamProfile profile) {
  auto agreed = co_await answer_proposals(stream, supported, profile);
  if (!agreed) stream.reset(agreed.error());
  co_return agreed;
}

}  // namespace flaresim::negotiation
