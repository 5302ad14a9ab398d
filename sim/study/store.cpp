#include "sim/study/store.h"

#include <fmt/format.h>
#include <sodium.h>
#include <sqlite3.h>

#include <array>
#include <cmath>

#include "sim/study/build_info.h"
#include "sim/study/network_codec.h"

namespace flaresim::study {
namespace {

constexpr auto schema_version = "5";
/// Rows that a crash may cost.
constexpr std::uint64_t batch = 64;

constexpr auto create_tables = R"sql(
  CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE cells (cell INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (cell, key)) STRICT;
  CREATE TABLE trials (
    cell INTEGER NOT NULL,
    trial INTEGER NOT NULL,
    world INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    cause TEXT NOT NULL,
    error TEXT NOT NULL,
    nat_a TEXT NOT NULL,
    region_a TEXT NOT NULL,
    access_a TEXT NOT NULL,
    nat_b TEXT NOT NULL,
    region_b TEXT NOT NULL,
    access_b TEXT NOT NULL,
    relay_region TEXT NOT NULL,
    transport TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    relayed_after_ms REAL,
    direct_after_ms REAL,
    relayed_rtt_ms REAL,
    direct_rtt_ms REAL,
    verdict_a TEXT NOT NULL,
    truth_a TEXT NOT NULL,
    verdict_b TEXT NOT NULL,
    truth_b TEXT NOT NULL,
    phase_1_1_ms REAL,
    phase_1_2_ms REAL,
    phase_1_3_ms REAL,
    phase_2_1_ms REAL,
    phase_2_2_ms REAL,
    events INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    handshakes INTEGER NOT NULL,
    PRIMARY KEY (cell, trial)) STRICT;
)sql";
constexpr auto insert_trial =
    "INSERT INTO trials VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
constexpr auto select_trials = "SELECT * FROM trials ORDER BY cell, trial";
constexpr auto select_worlds = "SELECT cell, world, error, report FROM worlds ORDER BY cell, world";
constexpr auto select_looks =
    "SELECT cell, world, error, report FROM looks ORDER BY cell, world, simulated_s";
/// A cell is of networks or of trials that have worlds of their own.
constexpr auto count_done =
    "SELECT (SELECT count(*) FROM worlds) +"
    " (SELECT count(*) FROM trials WHERE cell NOT IN (SELECT cell FROM worlds))";
constexpr auto drop_part =
    "DELETE FROM trials WHERE cell = ? AND world NOT IN (SELECT world FROM worlds WHERE cell = ?)";

/// `worlds` or `looks`, with the columns that hold a report's numbers.
std::string create_table(std::string_view table, std::string_view key) {
  std::string columns;
  for (const auto& [name, number] : columns_of({})) {
    columns += fmt::format(", {} {}", name, std::holds_alternative<double>(number) ? "REAL" : "INTEGER");
  }
  return fmt::format(
      "CREATE TABLE {} (cell INTEGER NOT NULL, world INTEGER NOT NULL, error TEXT NOT NULL, report TEXT{}, "
      "PRIMARY KEY ({})) STRICT",
      table, columns, key);
}
/// `how` with the table: "INSERT INTO worlds".
std::string insert_into(std::string_view how) {
  std::string places = "?,?,?,?";
  for (std::size_t i = 0; i < columns_of({}).size(); ++i) places += ",?";
  return fmt::format("{} VALUES ({})", how, places);
}

class SqliteCategory : public std::error_category {
 public:
  const char* name() const noexcept override { return "sqlite"; }
  std::string message(int code) const override { return sqlite3_errstr(code); }
};

tl::unexpected<std::error_code> sqlite_failure(int code) {
  static const SqliteCategory category;
  return tl::unexpected(std::error_code(code, category));
}

constexpr double nanoseconds_per_ms = 1e6;

/// Binds values one after the other.
class Binder {
 public:
  explicit Binder(sqlite3_stmt* statement) : statement_(statement) {}
  Binder& operator<<(std::string_view text) {
    sqlite3_bind_text(statement_, ++at_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Binder& operator<<(std::uint64_t number) {
    sqlite3_bind_int64(statement_, ++at_, static_cast<sqlite3_int64>(number));
    return *this;
  }
  Binder& operator<<(const Number& number) {
    if (const auto* whole = std::get_if<std::uint64_t>(&number)) return *this << *whole;
    sqlite3_bind_double(statement_, ++at_, std::get<double>(number));
    return *this;
  }
  Binder& operator<<(std::nullptr_t) {
    sqlite3_bind_null(statement_, ++at_);
    return *this;
  }
  Binder& operator<<(const std::optional<io::Duration>& duration) {
    ++at_;
    if (duration) {
      sqlite3_bind_double(statement_, at_, static_cast<double>(duration->count()) / nanoseconds_per_ms);
    } else {
      sqlite3_bind_null(statement_, at_);
    }
    return *this;
  }
  Binder& operator<<(const world::PeerKind& kind) { return *this << kind.nat << kind.region << kind.access; }

 private:
  sqlite3_stmt* statement_;
  int at_ = 0;
};

/// Reads columns one after the other.
class Columns {
 public:
  explicit Columns(sqlite3_stmt* statement) : statement_(statement) {}
  std::string text() {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, at_));
    const auto size = sqlite3_column_bytes(statement_, at_++);
    return bytes ? std::string(bytes, static_cast<std::size_t>(size)) : std::string();
  }
  std::uint64_t whole() { return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, at_++)); }
  std::optional<io::Duration> duration() {
    const auto is_null = sqlite3_column_type(statement_, at_) == SQLITE_NULL;
    const auto ms = sqlite3_column_double(statement_, at_++);
    if (is_null) return std::nullopt;
    return io::Duration(std::llround(ms * nanoseconds_per_ms));
  }
  world::PeerKind kind() {
    world::PeerKind kind;
    kind.nat = text();
    kind.region = text();
    kind.access = text();
    return kind;
  }

 private:
  sqlite3_stmt* statement_;
  int at_ = 0;
};

Row read_row(sqlite3_stmt* statement) {
  Columns columns(statement);
  Row row;
  row.cell = columns.whole();
  auto& trial = row.trial;
  trial.index = columns.whole();
  trial.world = columns.whole();
  trial.outcome = world::outcome_of(columns.text()).value_or(world::Outcome::unknown);
  trial.cause = world::cause_of(columns.text()).value_or(world::Cause::internal_error);
  trial.error = columns.text();
  trial.a = columns.kind();
  trial.b = columns.kind();
  trial.relay_region = columns.text();
  trial.transport = columns.text();
  trial.attempts = static_cast<int>(columns.whole());
  trial.relayed_after = columns.duration();
  trial.direct_after = columns.duration();
  trial.relayed_rtt = columns.duration();
  trial.direct_rtt = columns.duration();
  for (auto* peer : {&trial.dialability_a, &trial.dialability_b}) {
    peer->verdict = columns.text();
    peer->truth = columns.text();
  }
  for (auto& phase : trial.phases) phase = columns.duration();
  trial.events = columns.whole();
  trial.packets = columns.whole();
  trial.handshakes = columns.whole();
  return row;
}

World read_world(sqlite3_stmt* statement) {
  Columns columns(statement);
  World world;
  world.cell = columns.whole();
  world.number = columns.whole();
  world.error = columns.text();
  world.report = parse_report(columns.text());
  return world;
}

}  // namespace

std::string fingerprint(const Plan& plan) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, crypto_generichash_BYTES);
  const auto add = [&](const std::string& text) {
    // With its end, so that two texts cannot trade characters.
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(text.c_str()), text.size() + 1);
  };
  const auto& build = build_info();
  for (const auto& text : {build.version, build.ns3, build.compiler, build.git, build.id}) add(text);
  for (const auto& cell : plan.cells) add(to_yaml(cell.scenario));
  std::array<unsigned char, crypto_generichash_BYTES> digest;
  crypto_generichash_final(&state, digest.data(), digest.size());
  std::string text;
  for (const auto byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

void Store::Close::operator()(sqlite3* database) const { sqlite3_close(database); }
void Store::Close::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

tl::expected<Store, StoreError> Store::open(const std::string& path, const Plan& plan) {
  Store store;
  sqlite3* database = nullptr;
  const auto opened = sqlite3_open(path.c_str(), &database);
  store.database_.reset(database);
  // Taking the write lock at once tells a second writer so before it runs a single trial.
  if (opened != SQLITE_OK || !store.begin()) return tl::unexpected(store.explain(path));

  const auto print = fingerprint(plan);
  const auto known = store.value_of("fingerprint");
  if (known && !known->empty() && *known != print) {
    return tl::unexpected(StoreError{
        StoreError::Kind::another_run,
        fmt::format("{}: holds a run of another scenario, seed or build; choose another --out", path)});
  }
  const auto ready = known ? io::Result<>{} : store.create(plan, print);
  for (const auto& cell : plan.cells) store.is_network_.push_back(cell.scenario.network.has_value());
  auto insert = store.prepare(insert_trial);
  auto insert_world = store.prepare(insert_into("INSERT INTO worlds").c_str());
  auto insert_look = store.prepare(insert_into("INSERT OR REPLACE INTO looks").c_str());
  if (!ready || !insert || !insert_world || !insert_look || !store.drop_parts()) {
    return tl::unexpected(store.explain(path));
  }
  const auto done = store.count();
  if (!done || !store.commit()) return tl::unexpected(store.explain(path));
  store.insert_ = std::move(*insert);
  store.insert_world_ = std::move(*insert_world);
  store.insert_look_ = std::move(*insert_look);
  store.done_ = *done;
  return store;
}

io::Result<> Store::drop_parts() const {
  for (std::size_t cell = 0; cell < is_network_.size(); ++cell) {
    if (!is_network_[cell]) continue;
    auto statement = prepare(drop_part);
    if (!statement) return tl::unexpected(statement.error());
    Binder(statement->get()) << std::uint64_t{cell} << std::uint64_t{cell};
    if (const auto code = sqlite3_step(statement->get()); code != SQLITE_DONE) return sqlite_failure(code);
  }
  return {};
}

io::Result<std::uint64_t> Store::count() const {
  auto statement = prepare(count_done);
  if (!statement) return tl::unexpected(statement.error());
  if (const auto code = sqlite3_step(statement->get()); code != SQLITE_ROW) return sqlite_failure(code);
  return Columns(statement->get()).whole();
}

StoreError Store::explain(const std::string& path) const {
  const auto code = sqlite3_errcode(database_.get());
  if (code == SQLITE_BUSY)
    return {StoreError::Kind::busy, fmt::format("{}: another run is writing there", path)};
  return {StoreError::Kind::failed, fmt::format("{}: {}", path, sqlite3_errmsg(database_.get()))};
}

io::Result<> Store::create(const Plan& plan, const std::string& print) {
  if (auto done = execute(create_tables); !done) return done;
  for (const auto& [name, key] :
       {std::pair{"worlds", "cell, world"}, {"looks", "cell, world, simulated_s"}}) {
    if (auto done = execute(create_table(name, key).c_str()); !done) return done;
  }
  auto property = prepare("INSERT INTO run VALUES (?,?)");
  if (!property) return tl::unexpected(property.error());
  for (const auto& [key, value] :
       {std::pair<std::string_view, std::string_view>{"schema", schema_version}, {"fingerprint", print}}) {
    Binder(property->get()) << key << value;
    if (const auto code = sqlite3_step(property->get()); code != SQLITE_DONE) return sqlite_failure(code);
    sqlite3_reset(property->get());
  }
  auto cell = prepare("INSERT INTO cells VALUES (?,?,?)");
  if (!cell) return tl::unexpected(cell.error());
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    for (const auto& assignment : plan.cells[i].at) {
      Binder(cell->get()) << std::uint64_t{i} << assignment.key << assignment.value;
      if (const auto code = sqlite3_step(cell->get()); code != SQLITE_DONE) return sqlite_failure(code);
      sqlite3_reset(cell->get());
    }
  }
  return {};
}

io::Result<std::string> Store::value_of(const char* key) const {
  auto statement = prepare("SELECT value FROM run WHERE key = ?");
  if (!statement) return tl::unexpected(statement.error());
  Binder(statement->get()) << std::string_view(key);
  const auto code = sqlite3_step(statement->get());
  if (code != SQLITE_ROW) return sqlite_failure(code);
  return Columns(statement->get()).text();
}

io::Result<> Store::begin_batch() {
  if (sqlite3_get_autocommit(database_.get()) == 0) return {};
  return begin();
}

io::Result<> Store::add(const Row& row) {
  if (auto begun = begin_batch(); !begun) return begun;
  const auto& trial = row.trial;
  Binder binder(insert_.get());
  binder << std::uint64_t{row.cell} << trial.index << trial.world << to_string(trial.outcome)
         << to_string(trial.cause) << trial.error << trial.a << trial.b << trial.relay_region
         << trial.transport << static_cast<std::uint64_t>(trial.attempts) << trial.relayed_after
         << trial.direct_after << trial.relayed_rtt << trial.direct_rtt;
  for (const auto* peer : {&trial.dialability_a, &trial.dialability_b})
    binder << peer->verdict << peer->truth;
  for (const auto& phase : trial.phases) binder << phase;
  binder << trial.events << trial.packets << trial.handshakes;
  const auto code = sqlite3_step(insert_.get());
  sqlite3_reset(insert_.get());
  if (code != SQLITE_DONE) return sqlite_failure(code);
  if (is_network_[row.cell]) return {};  // complete with its world
  ++done_;
  if (++uncommitted_ < batch) return {};
  return commit();
}

io::Result<> Store::add(const World& world) {
  if (auto begun = begin_batch(); !begun) return begun;
  if (auto inserted = insert(insert_world_.get(), world); !inserted) return inserted;
  ++done_;
  return commit();
}

io::Result<> Store::add_look(const World& world) {
  if (auto begun = begin_batch(); !begun) return begun;
  if (auto inserted = insert(insert_look_.get(), world); !inserted) return inserted;
  return commit();
}

io::Result<> Store::insert(sqlite3_stmt* statement, const World& world) {
  Binder binder(statement);
  binder << std::uint64_t{world.cell} << world.number << world.error;
  if (world.report) {
    binder << to_json(*world.report);
    for (const auto& [name, number] : columns_of(*world.report)) binder << number;
  } else {
    for (std::size_t i = 0; i <= columns_of({}).size(); ++i) binder << nullptr;
  }
  const auto code = sqlite3_step(statement);
  sqlite3_reset(statement);
  if (code != SQLITE_DONE) return sqlite_failure(code);
  return {};
}

io::Result<> Store::begin() { return execute("BEGIN IMMEDIATE"); }

io::Result<> Store::commit() {
  uncommitted_ = 0;
  if (sqlite3_get_autocommit(database_.get()) != 0) return {};
  return execute("COMMIT");
}

io::Result<> Store::execute(const char* sql) const {
  const auto code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(code);
  return {};
}

io::Result<Store::Statement> Store::prepare(const char* sql) const {
  sqlite3_stmt* statement = nullptr;
  const auto code = sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(code);
  return Statement(statement);
}

io::Result<> Store::each_row(const char* sql, const std::function<void(sqlite3_stmt*)>& visit) const {
  auto statement = prepare(sql);
  if (!statement) return tl::unexpected(statement.error());
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement->get())) == SQLITE_ROW) visit(statement->get());
  if (code != SQLITE_DONE) return sqlite_failure(code);
  return {};
}

io::Result<> Store::each(const std::function<void(const Row&)>& visit) const {
  return each_row(select_trials, [&](sqlite3_stmt* statement) { visit(read_row(statement)); });
}

io::Result<> Store::each_world(const std::function<void(const World&)>& visit) const {
  return each_row(select_worlds, [&](sqlite3_stmt* statement) { visit(read_world(statement)); });
}

io::Result<> Store::each_look(const std::function<void(const World&)>& visit) const {
  return each_row(select_looks, [&](sqlite3_stmt* statement) { visit(read_world(statement)); });
}

}  // namespace flaresim::study
