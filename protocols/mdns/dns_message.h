#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"

/// DNS messages as multicast DNS uses them: bytes in, values out, and back.
/// Source: RFC 1035 §3–§4, RFC 6762 §18, RFC 6763 §6.
namespace flaresim::mdns {

enum class DnsError {
  truncated = 1,       ///< ends inside of what it announces
  bad_label,           ///< a length octet of a reserved kind (01, 10)
  bad_pointer,         ///< a compression pointer that leads forward, or to itself
  name_too_long,       ///< more than 255 octets
  bad_record,          ///< data that is none of its type
  message_too_long,    ///< encoding: the names and records do not fit into 65 535 octets
  not_multicast_form,  ///< an opcode or a response code other than 0 (RFC 6762 §18.3, §18.11)
};
std::error_code make_error_code(DnsError error);

/// A domain name. Its labels are raw bytes, compared without regard to ASCII case (RFC 6762 §16).
class Name {
 public:
  static constexpr std::size_t max_bytes = 255;       // RFC 1035 §3.1, with lengths and the root
  static constexpr std::size_t max_label_bytes = 63;  // RFC 1035 §3.1

  Name() = default;  ///< the root
  /// Labels between dots; a label cannot hold a dot itself. `DnsError::bad_label` for an empty or overlong label,
  /// `DnsError::name_too_long`.
  static io::Result<Name> from_text(std::string_view text);

  /// This label in front of `parent`; errors as above.
  static io::Result<Name> below(std::string_view label, const Name& parent);

  const std::vector<std::string>& labels() const { return labels_; }
  /// One label in front of `parent`.
  bool is_child_of(const Name& parent) const;
  friend bool operator==(const Name& a, const Name& b);

 private:
  friend class DnsReader;

  std::vector<std::string> labels_;
};

enum class RecordType : std::uint16_t { a = 1, ptr = 12, txt = 16, aaaa = 28, srv = 33, any = 255 };

struct Question {
  Name name;
  RecordType type = RecordType::ptr;
  bool unicast_response = false;  // RFC 6762 §5.4, the top bit of the class
  bool operator==(const Question&) const = default;
};

/// The strings of a TXT record, each of at most 255 bytes.
using Text = std::vector<std::string>;

struct Record {
  Name name;
  RecordType type = RecordType::ptr;
  bool cache_flush = false;  // RFC 6762 §10.2, the top bit of the class
  std::chrono::seconds ttl{0};
  /// A Name for PTR, a Text for TXT, bytes as they are for all else.
  std::variant<Name, Text, io::Bytes> data{};
  bool operator==(const Record&) const = default;
};

struct DnsMessage {
  std::uint16_t id = 0;
  bool response = false;
  bool authoritative = false;
  std::vector<Question> questions{};
  std::vector<Record> answers{};
  std::vector<Record> authorities{};
  std::vector<Record> additional{};
  bool operator==(const DnsMessage&) const = default;
};

/// Names that were written before are pointed to.
io::Result<io::Bytes> encode(const DnsMessage& message);

/// 1. Pointers lead strictly backwards, so every name ends; a name costs no more than 255 octets.
/// 2. Questions and records of classes other than IN and ANY are left out.
/// 3. What follows the last announced record is ignored.
io::Result<DnsMessage> decode(io::BytesView bytes);

}  // namespace flaresim::mdns

template <>
struct std::is_error_code_enum<flaresim::mdns::DnsError> : std::true_type {};
