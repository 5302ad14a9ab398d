#include "protocols/mdns/dns_message.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "protocols/io/error_table.h"

namespace flaresim::mdns {
namespace {

constexpr std::size_t header_bytes = 12;
constexpr std::uint16_t class_in = 1;
constexpr std::uint16_t class_any = 255;
constexpr std::uint16_t top_bit = 0x8000;  // of a class: unicast response, cache flush
constexpr std::uint16_t response_flag = 0x8000;
constexpr std::uint16_t authoritative_flag = 0x0400;
constexpr std::uint16_t opcode_mask = 0x7800;
constexpr std::uint16_t rcode_mask = 0x000f;
constexpr std::uint8_t pointer_bits = 0xc0;
constexpr std::size_t last_pointed_place = 0x3fff;
constexpr std::size_t longest_message = 65'535;

bool same_text(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

bool same_labels(std::span<const std::string> a, std::span<const std::string> b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) { return same_text(x, y); });
}

/// Octets of a name, with lengths and the root.
std::size_t wire_bytes(std::span<const std::string> labels) {
  std::size_t bytes = 1;
  for (const auto& label : labels) bytes += 1 + label.size();
  return bytes;
}

bool is_ours(std::uint16_t record_class) {
  const auto plain = static_cast<std::uint16_t>(record_class & ~top_bit);
  return plain == class_in || plain == class_any;
}

class DnsWriter {
 public:
  explicit DnsWriter(io::Bytes& into) : bytes_(into) {}

  void put16(std::size_t number) {
    bytes_.push_back(static_cast<std::uint8_t>(number >> 8));
    bytes_.push_back(static_cast<std::uint8_t>(number));
  }

  void put_name(const Name& name) {
    std::span<const std::string> rest(name.labels());
    while (!rest.empty()) {
      const auto known =
          std::ranges::find_if(written_, [&](const auto& one) { return same_labels(one.labels, rest); });
      if (known != written_.end()) return put16(std::size_t{pointer_bits} << 8 | known->place);
      if (bytes_.size() <= last_pointed_place) written_.push_back({rest, bytes_.size()});
      put_string(rest.front());
      rest = rest.subspan(1);
    }
    bytes_.push_back(0);
  }

  void put_string(std::string_view text) {
    bytes_.push_back(static_cast<std::uint8_t>(text.size()));
    io::append(bytes_, io::as_bytes(text));
  }

  void put(const Question& question) {
    put_name(question.name);
    put16(static_cast<std::uint16_t>(question.type));
    put16(class_in | (question.unicast_response ? top_bit : 0));
  }

  void put(const Record& record) {
    put_name(record.name);
    put16(static_cast<std::uint16_t>(record.type));
    put16(class_in | (record.cache_flush ? top_bit : 0));
    const auto ttl_s = static_cast<std::uint32_t>(record.ttl.count());
    put16(ttl_s >> 16);
    put16(ttl_s & 0xffff);
    const auto length_at = bytes_.size();
    put16(0);
    put_data(record);
    const auto length = bytes_.size() - length_at - 2;
    bytes_[length_at] = static_cast<std::uint8_t>(length >> 8);
    bytes_[length_at + 1] = static_cast<std::uint8_t>(length);
  }

 private:
  void put_data(const Record& record) {
    if (const auto* name = std::get_if<Name>(&record.data)) {
      put_name(*name);
    } else if (const auto* text = std::get_if<Text>(&record.data)) {
      for (const auto& one : *text) put_string(one);
      if (text->empty()) put_string({});  // RFC 6763 §6.1: one empty string at least
    } else {
      io::append(bytes_, std::get<io::Bytes>(record.data));
    }
  }

  struct Written {
    std::span<const std::string> labels;  // of the message that is being encoded
    std::size_t place;
  };
  io::Bytes& bytes_;
  std::vector<Written> written_;
};

bool is_encodable(const Record& record) {
  const auto* text = std::get_if<Text>(&record.data);
  return !text || std::ranges::all_of(*text, [](const auto& one) { return one.size() <= 255; });
}

}  // namespace

std::error_code make_error_code(DnsError error) {
  static constexpr std::array<std::string_view, 7> messages{
      "DNS message ends too early",
      "malformed label in a domain name",
      "compression pointer that does not lead backwards",
      "domain name too long",
      "record data does not fit its type",
      "DNS message too long",
      "DNS message with an opcode or a response code",
  };
  static const io::ErrorTable category("dns", messages);
  return {static_cast<int>(error), category};
}

io::Result<Name> Name::from_text(std::string_view text) {
  Name name;
  while (!text.empty()) {
    const auto dot = std::min(text.find('.'), text.size());
    name.labels_.emplace_back(text.substr(0, dot));
    if (dot == 0 || dot > max_label_bytes) return io::fail(DnsError::bad_label);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  if (wire_bytes(name.labels_) > max_bytes) return io::fail(DnsError::name_too_long);
  return name;
}

io::Result<Name> Name::below(std::string_view label, const Name& parent) {
  if (label.empty() || label.size() > max_label_bytes) return io::fail(DnsError::bad_label);
  Name name = parent;
  name.labels_.emplace(name.labels_.begin(), label);
  if (wire_bytes(name.labels_) > max_bytes) return io::fail(DnsError::name_too_long);
  return name;
}

bool Name::is_child_of(const Name& parent) const {
  return labels_.size() == parent.labels_.size() + 1 &&
         same_labels(std::span(labels_).subspan(1), parent.labels_);
}

bool operator==(const Name& a, const Name& b) { return same_labels(a.labels_, b.labels_); }

/// Reads from front to back, and fails for good with the first thing that is wrong.
class DnsReader {
 public:
  explicit DnsReader(io::BytesView bytes) : bytes_(bytes) {}

  const std::optional<std::error_code>& error() const { return error_; }

  std::size_t take16() {
    if (!has(2)) return 0;
    const std::size_t number = bytes_[at_] << 8 | bytes_[at_ + 1];
    at_ += 2;
    return number;
  }

  Name take_name() {
    Name name;
    at_ = read_labels(at_, name);
    return name;
  }

  void take(std::vector<Question>& into) {
    Question question{take_name(), static_cast<RecordType>(take16())};
    const auto question_class = static_cast<std::uint16_t>(take16());
    question.unicast_response = (question_class & top_bit) != 0;
    if (!error_ && is_ours(question_class)) into.push_back(std::move(question));
  }

  void take(std::vector<Record>& into) {
    Record record{take_name(), static_cast<RecordType>(take16())};
    const auto record_class = static_cast<std::uint16_t>(take16());
    record.cache_flush = (record_class & top_bit) != 0;
    const auto ttl_high = take16();
    record.ttl = std::chrono::seconds(ttl_high << 16 | take16());
    const auto length = take16();
    if (!has(length)) return;
    const auto end = at_ + length;
    take_data(record, end);
    at_ = end;
    if (!error_ && is_ours(record_class)) into.push_back(std::move(record));
  }

 private:
  void fail(DnsError why) {
    if (!error_) error_ = make_error_code(why);
  }

  bool has(std::size_t count) {
    if (!error_ && bytes_.size() - at_ < count) fail(DnsError::truncated);
    return !error_;
  }

  /// From `at` on into `name`; returns where what follows the name begins.
  std::size_t read_labels(std::size_t at, Name& name) {
    std::optional<std::size_t> after;  // the first pointer
    std::size_t earliest = at;         // where the pieces read so far begin: a pointer must lead before them
    std::size_t total = 1;
    while (!error_) {
      if (at >= bytes_.size()) return fail(DnsError::truncated), at;
      const std::size_t length = bytes_[at];
      if (length == 0) return after.value_or(at + 1);
      if ((length & pointer_bits) == pointer_bits) {
        if (at + 2 > bytes_.size()) return fail(DnsError::truncated), at;
        const std::size_t place = (length & ~std::size_t{pointer_bits}) << 8 | bytes_[at + 1];
        if (place >= earliest) return fail(DnsError::bad_pointer), at;
        if (!after) after = at + 2;
        earliest = at = place;
        continue;
      }
      if (length > Name::max_label_bytes) return fail(DnsError::bad_label), at;
      total += 1 + length;
      if (total > Name::max_bytes) return fail(DnsError::name_too_long), at;
      if (bytes_.size() - at < 1 + length) return fail(DnsError::truncated), at;
      name.labels_.push_back(io::as_text(bytes_.subspan(at + 1, length)));
      at += 1 + length;
    }
    return at;
  }

  void take_data(Record& record, std::size_t end) {
    if (record.type == RecordType::ptr) {
      Name name = take_name();
      if (!error_ && at_ != end) fail(DnsError::bad_record);
      record.data = std::move(name);
    } else if (record.type == RecordType::txt) {
      Text text;
      while (at_ < end) {
        const std::size_t length = bytes_[at_];
        if (end - at_ < 1 + length) return fail(DnsError::bad_record);
        if (length > 0) text.push_back(io::as_text(bytes_.subspan(at_ + 1, length)));
        at_ += 1 + length;
      }
      record.data = std::move(text);
    } else {
      record.data = io::to_bytes(bytes_.subspan(at_, end - at_));
    }
  }

  io::BytesView bytes_;
  std::size_t at_ = 0;
  std::optional<std::error_code> error_;
};

io::Result<io::Bytes> encode(const DnsMessage& message) {
  io::Bytes bytes;
  DnsWriter writer(bytes);
  writer.put16(message.id);
  writer.put16((message.response ? response_flag : 0) | (message.authoritative ? authoritative_flag : 0));
  writer.put16(message.questions.size());
  for (const auto* section : {&message.answers, &message.authorities, &message.additional})
    writer.put16(section->size());
  for (const auto& question : message.questions) writer.put(question);
  for (const auto* section : {&message.answers, &message.authorities, &message.additional}) {
    for (const auto& record : *section) {
      if (!is_encodable(record)) return io::fail(DnsError::bad_record);
      writer.put(record);
    }
  }
  if (bytes.size() > longest_message) return io::fail(DnsError::message_too_long);
  return bytes;
}

io::Result<DnsMessage> decode(io::BytesView bytes) {
  if (bytes.size() < header_bytes) return io::fail(DnsError::truncated);
  DnsReader reader(bytes);
  DnsMessage message;
  message.id = static_cast<std::uint16_t>(reader.take16());
  const auto flags = reader.take16();
  if ((flags & (opcode_mask | rcode_mask)) != 0) return io::fail(DnsError::not_multicast_form);
  message.response = (flags & response_flag) != 0;
  message.authoritative = (flags & authoritative_flag) != 0;
  std::array<std::size_t, 4> counts{};
  for (auto& count : counts) count = reader.take16();
  for (std::size_t i = 0; i < counts[0] && !reader.error(); ++i) reader.take(message.questions);
  const std::array<std::vector<Record>*, 3> sections{&message.answers, &message.authorities,
                                                     &message.additional};
  for (std::size_t section = 0; section < sections.size(); ++section) {
    for (std::size_t i = 0; i < counts[section + 1] && !reader.error(); ++i) reader.take(*sections[section]);
  }
  if (reader.error()) return tl::unexpected(*reader.error());
  return message;
}

}  // namespace flaresim::mdns
