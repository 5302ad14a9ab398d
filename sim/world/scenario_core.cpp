#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/world/scenario_reader.h"
#include "topologies/graph_file.h"

namespace flaresim::world {
namespace {

using namespace std::chrono_literals;
using topologies::BarabasiAlbert;
using topologies::CoreGraph;
using topologies::Tiered;
using topologies::Waxman;

/// 64 bits of FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv): tells a changed file, and defends against nobody.
std::string digest_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

/// A generator's parameters, by their keys.
class CoreReader {
 public:
  CoreReader(Reader& reader, const Value& value) : reader_(reader), value_(value) {}

  std::optional<CoreSpec> operator()() {
    const auto* word = find_value(value_, "graph");
    if (!word) return read_file();
    static const std::vector<std::string> names{"waxman", "barabasi-albert", "tiered"};
    const auto name = reader_.name(*word, "generator", names);
    if (reader_.error()) return std::nullopt;
    if (name == "waxman") return read_waxman();
    return name == "tiered" ? read_tiered() : read_barabasi_albert();
  }

 private:
  Keys keys_of(std::vector<std::string_view> own) {
    own.insert(own.end(), {"graph", "seed", "jitter", "rate", "queue", "loss"});
    return Keys(reader_, value_, "core", own);
  }

  void read_link(const Keys& keys) {
    auto& link = spec_.link;
    if (const auto* seed = keys.find("seed")) spec_.seed = reader_.whole(*seed, 0, UINT64_MAX);
    if (const auto* jitter = keys.find("jitter")) link.jitter = reader_.duration(*jitter, 0s, 1min);
    if (const auto* rate = keys.find("rate")) link.bits_per_second = reader_.bits_per_second(*rate);
    if (const auto* queue = keys.find("queue")) link.queue = reader_.duration(*queue, 0s, 1min);
    if (const auto* loss = keys.find("loss")) link.loss = reader_.rate(*loss);
  }

  std::optional<CoreSpec> read_waxman() {
    const auto keys = keys_of({"vertices", "alpha", "beta", "side"});
    read_link(keys);
    Waxman waxman;
    if (const auto* count = keys.find("vertices"))
      waxman.vertices = reader_.whole(*count, 2, CoreGraph::max_vertices);
    if (const auto* alpha = keys.find("alpha")) waxman.alpha = reader_.rate(*alpha);
    if (const auto* beta = keys.find("beta")) waxman.beta = reader_.rate(*beta);
    if (const auto* side = keys.find("side")) waxman.side = reader_.duration(*side, 1us, 30s);
    return made(waxman);
  }

  std::optional<CoreSpec> read_barabasi_albert() {
    const auto keys = keys_of({"vertices", "links", "shortest", "longest"});
    read_link(keys);
    BarabasiAlbert graph;
    if (const auto* count = keys.find("vertices"))
      graph.vertices = reader_.whole(*count, 2, CoreGraph::max_vertices);
    if (const auto* links = keys.find("links"))
      graph.links = reader_.whole(*links, 1, CoreGraph::max_vertices);
    if (const auto* delay = keys.find("shortest")) graph.shortest = reader_.duration(*delay, 1us, 1min);
    if (const auto* delay = keys.find("longest")) graph.longest = reader_.duration(*delay, 1us, 1min);
    return made(graph);
  }

  std::optional<CoreSpec> read_tiered() {
    const auto keys = keys_of({"tiers", "single_homed", "peering", "longest"});
    read_link(keys);
    Tiered tiered;
    if (const auto* tiers = keys.find("tiers")) {
      tiered.tiers.clear();
      if (tiers->kind != Value::Kind::list)
        reader_.fail(tiers->place, "expected a list of numbers of vertices");
      for (const auto& count : tiers->items) {
        tiered.tiers.push_back(reader_.whole(count, 1, CoreGraph::max_vertices));
      }
    }
    if (const auto* share = keys.find("single_homed")) tiered.single_homed = reader_.rate(*share);
    if (const auto* share = keys.find("peering")) tiered.peering = reader_.rate(*share);
    if (const auto* delay = keys.find("longest")) tiered.longest = reader_.duration(*delay, 1ms, 1min);
    return made(tiered);
  }

  template <class Parameters>
  std::optional<CoreSpec> made(const Parameters& parameters) {
    if (reader_.error()) return std::nullopt;
    auto graph = topologies::generate(parameters, spec_.seed, spec_.link);
    if (!graph) {
      reader_.fail(value_.place, graph.error().message() + " of these parameters");
      return std::nullopt;
    }
    spec_.origin = parameters;
    spec_.graph = std::make_shared<const CoreGraph>(std::move(*graph));
    return std::move(spec_);
  }

  std::optional<CoreSpec> read_file() {
    Keys keys(reader_, value_, "core", {"graph", "file", "digest"});
    const auto* file = keys.find("file");
    if (!file) reader_.fail(value_.place, "core needs a graph to generate, or a file to read");
    if (reader_.error()) return std::nullopt;
    const auto path = path_of(*file, reader_.text(*file));
    const auto text = read_text(*file, path);
    if (!text) return std::nullopt;
    const auto digest = digest_of(*text);
    if (const auto* known = keys.find("digest"); known && reader_.text(*known) != digest) {
      reader_.fail(known->place, fmt::format("{} has changed since; its digest is now {}", path, digest));
    }
    auto graph = topologies::read_graph(path, *text);
    if (!graph) {
      const auto& [code, detail] = graph.error();
      reader_.fail(file->place,
                   fmt::format("{}: {}{}", path, code.message(), detail.empty() ? "" : ": " + detail));
      return std::nullopt;
    }
    return CoreSpec{.origin = CoreSpec::File{path, digest},
                    .graph = std::make_shared<const CoreGraph>(std::move(*graph))};
  }

  /// Relative to the file that names it, or to where the program runs for one that is named in an argument.
  static std::string path_of(const Value& value, const std::string& name) {
    const auto folder = value.place.line > 0 ? std::filesystem::path(value.place.source).parent_path()
                                             : std::filesystem::path();
    std::error_code ignored;
    return std::filesystem::weakly_canonical(std::filesystem::absolute(folder / name), ignored).string();
  }

  std::optional<std::string> read_text(const Value& place, const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(topologies::max_graph_file_bytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!file.is_open() || file.bad()) {
      reader_.fail(place.place, fmt::format("{}: cannot be read", path));
      return std::nullopt;
    }
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
  }

  Reader& reader_;
  const Value& value_;
  CoreSpec spec_;
};

}  // namespace

std::optional<CoreSpec> read_core(Reader& reader, const Value& value) { return CoreReader(reader, value)(); }

}  // namespace flaresim::world
