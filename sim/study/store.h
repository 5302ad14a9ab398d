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
/// `trials` (columns below; durations in milliseconds, NULL where there is none), `worlds` (a row a world of a network:
/// the numbers of its report, NULL for a world that went wrong, and the whole report as JSON), `looks` (the same, a row
/// a look at a world: what it had come to at `simulated_s`).
///
/// 1. Rows come and go in the order of the plan, so that their number says where to go on.
/// 2. Rows are committed a batch at a time, and those of a network with their world: after a crash the file holds a
///    beginning of the run. A part of a world that a failed write left behind is taken away when the file is opened.
///    Looks are committed at once, and stay: a world of hours that is killed leaves what it had come to.
/// 3. One process writes at a time.
class Store {
 public:
  /// Makes the file, or opens that of an unfinished or finished run with the same fingerprint.
  static tl::expected<Store, StoreError> open(const std::string& path, const Plan& plan);

  /// Trials and worlds of networks that it holds, as `RunOptions::skip` counts them.
  std::uint64_t done() const { return done_; }
  io::Result<> add(const Row& row);
  /// After the rows of the world.
  io::Result<> add(const World& world);
  /// Takes the place of the same look of an earlier start.
  io::Result<> add_look(const World& world);
  io::Result<> commit();
  /// All rows, in order.
  io::Result<> each(const std::function<void(const Row&)>& visit) const;
  io::Result<> each_world(const std::function<void(const World&)>& visit) const;
  io::Result<> each_look(const std::function<void(const World&)>& visit) const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  Store() = default;
  io::Result<> begin();
  io::Result<> begin_batch();
  io::Result<> insert(sqlite3_stmt* statement, const World& world);
  io::Result<std::uint64_t> count() const;
  io::Result<> drop_parts() const;
  io::Result<> each_row(const char* sql, const std::function<void(sqlite3_stmt*)>& visit) const;
  io::Result<> execute(const char* sql) const;
  io::Result<Statement> prepare(const char* sql) const;
  io::Result<> create(const Plan& plan, const std::string& print);
  io::Result<std::string> value_of(const char* key) const;
  StoreError explain(const std::string& path) const;

  std::unique_ptr<sqlite3, Close> database_;
  Statement insert_;
  Statement insert_world_;
  Statement insert_look_;
  std::vector<bool> is_network_;  ///< by cell
  std::uint64_t done_ = 0;
  std::uint64_t uncommitted_ = 0;
};

}  // namespace flaresim::study
