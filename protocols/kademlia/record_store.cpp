#include "protocols/kademlia/record_store.h"

#include <utility>

#include "protocols/kademlia/error.h"

namespace flaresim::kademlia {

const RecordStore::Stored* RecordStore::find(const io::Bytes& key, io::CalendarTime now) const {
  const auto found = records_.find(key);
  return found == records_.end() || is_expired(found->second, now) ? nullptr : &found->second;
}

io::Result<> RecordStore::put(const io::Bytes& key, io::Bytes value, const Validator& validator,
                              io::CalendarTime now) {
  if (value.size() > limits_.max_value_bytes) return io::fail(Error::value_too_long);
  if (const auto valid = validator.validate(key, value); !valid) return valid;
  if (const auto* there = find(key, now); there && there->value != value) {
    std::vector<io::Bytes> values{value, there->value};
    if (validator.select(key, values) != 0) return io::fail(Error::outdated);
  }
  if (!records_.contains(key) && records_.size() >= limits_.max_records) {
    remove_expired(now);
    if (records_.size() >= limits_.max_records) return io::fail(Error::store_full);
  }
  records_.insert_or_assign(key, Stored{std::move(value), now});
  return {};
}

void RecordStore::remove_expired(io::CalendarTime now) {
  std::erase_if(records_, [&](const auto& record) { return is_expired(record.second, now); });
}

}  // namespace flaresim::kademlia
