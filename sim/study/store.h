#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "sim/study/plan.h"
#include "sim/study/run.h"

struct sqlite3;
struct sqlite3_stmt;

namespace flaresim::study {

struct StoreError {
  enum class Kind {
    another_run,  ///< the file holds rows of another scenario, seed or build
    busy,         ///< another process writes to it
    failed,       ///< the file cannot be used
  };
  Kind kind = Kind::failed;
  std::string message;
};

/// Says whether two runs give the same rows: a digest of every cell's scenario and of the build.
std::string fingerprint(const Plan& plan);

/// Rows in an SQLite file, a table row a trial.
///
/// Tables: `run` (key, value: `schema`, `fingerprint`), `cells` (cell, key, value: the sweep's values),
/// `trials` (columns below; durations in milliseconds, NULL where there is none).
///
/// 1. Rows come and go in the order of the plan, so that the number of rows says where to go on.
/// 2. Rows are committed a batch at a time: after a crash the file holds a beginning of the run.
/// 3. One process writes at a time.
class Store {
 public:
  /// Makes the file, or opens that of an unfinished or finished run with the same fingerprint.
  static tl::expected<Store, StoreError> open(const std::string& path, const Plan& plan);

  std::uint64_t rows() const { return rows_; }
  io::Result<> add(const Row& row);
  io::Result<> commit();
  /// All rows in order.
  io::Result<> each(const std::function<void(const Row&)>& visit) const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  Store() = default;
  io::Result<> begin();
  io::Result<> execute(const char* sql) const;
  io::Result<Statement> prepare(const char* sql) const;
  io::Result<> create(const Plan& plan, const std::string& print);
  io::Result<std::string> value_of(const char* key) const;
  StoreError explain(const std::string& path) const;

  std::unique_ptr<sqlite3, Close> database_;
  Statement insert_;
  std::uint64_t rows_ = 0;
  std::uint64_t uncommitted_ = 0;
};

}  // namespace flaresim::study
