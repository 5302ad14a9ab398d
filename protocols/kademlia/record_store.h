#pragma once

#include <chrono>
#include <cstddef>
#include <map>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"
#include "protocols/io/time.h"
#include "protocols/kademlia/validator.h"

namespace flaresim::kademlia {

/// The defaults' sources stand beside them.
struct RecordLimits {
  io::Duration max_age =
      std::chrono::hours(48);      // libp2p/specs kad-dht/README.md; amino/defaults.go DefaultMaxRecordAge
  std::size_t max_records = 1024;  // rust-libp2p protocols/kad record/store/memory.rs
  std::size_t max_value_bytes = 65 * 1024;  // ... memory.rs
};

/// Values that others, or we, have put under keys. A record older than `max_age` is as good as absent.
class RecordStore {
 public:
  struct Stored {
    io::Bytes value;
    io::CalendarTime received;
  };

  explicit RecordStore(RecordLimits limits) : limits_(limits) {}

  /// Null without one. Valid until the next change.
  const Stored* find(const io::Bytes& key, io::CalendarTime now) const;
  /// Fails as the validator does, with `Error::outdated` when that prefers what is there, `Error::value_too_long`, or
  /// `Error::store_full`.
  io::Result<> put(const io::Bytes& key, io::Bytes value, const Validator& validator, io::CalendarTime now);
  void remove_expired(io::CalendarTime now);
  std::size_t size() const { return records_.size(); }

 private:
  bool is_expired(const Stored& stored, io::CalendarTime now) const {
    return now - stored.received > limits_.max_age;
  }

  RecordLimits limits_;
  std::map<io::Bytes, Stored> records_;
};

}  // namespace flaresim::kademlia
