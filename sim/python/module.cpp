#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <utility>

#include "sim/report/report.h"
#include "sim/study/network_codec.h"
#include "sim/study/run.h"
#include "sim/study/summary.h"
#include "sim/world/nat_presets.h"
#include "sim/world/world_data.h"

namespace py = pybind11;

namespace {

using namespace flaresim;

constexpr int max_jobs = 1024;

struct Result {
  py::list rows;
  py::list worlds;
  py::list looks;
  py::dict summary;

  py::object frame() const { return py::module_::import("pandas").attr("DataFrame")(rows); }
};

/// Texts stand for themselves; everything else is written as JSON, which is YAML.
std::string value_text(const py::handle& value) {
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  return py::module_::import("json").attr("dumps")(value).cast<std::string>();
}

std::vector<world::Assignment> assignments_of(const py::dict& set, const py::object& trials,
                                              const py::object& seed) {
  std::vector<world::Assignment> assignments;
  for (const auto& [key, value] : set) {
    assignments.push_back({py::str(key).cast<std::string>(), value_text(value), "set"});
  }
  if (!trials.is_none()) assignments.push_back({"trials", value_text(trials), "argument"});
  if (!seed.is_none()) assignments.push_back({"seed", value_text(seed), "argument"});
  return assignments;
}

std::vector<study::Axis> axes_of(const py::dict& sweep) {
  std::vector<study::Axis> axes;
  for (const auto& [key, values] : sweep) {
    const auto name = py::str(key).cast<std::string>();
    // A text is a sequence too, of letters.
    if (py::isinstance<py::str>(values))
      throw py::value_error("sweep " + name + ": expected a list of values");
    study::Axis axis{.key = name, .values = {}};
    for (const auto& value : py::reinterpret_borrow<py::object>(values))
      axis.values.push_back(value_text(value));
    axes.push_back(std::move(axis));
  }
  return axes;
}

py::object python_value(const report::FieldValue& value) {
  return std::visit([](const auto& it) { return py::object(py::cast(it)); }, value);
}

py::dict dictionary(const std::vector<report::Field>& fields) {
  py::dict result;
  for (const auto& field : fields) result[py::str(field.name)] = python_value(field.value);
  return result;
}

py::object from_json(const std::string& text) { return py::module_::import("json").attr("loads")(text); }

/// The sweep's values and the report as it is, with its distributions.
py::dict dictionary(const study::Plan& plan, const study::World& world) {
  py::dict result;
  for (const auto& assignment : plan.cells[world.cell].at) result[py::str(assignment.key)] = assignment.value;
  result["world"] = world.number;
  result["error"] = world.error;
  result["report"] = world.report ? from_json(study::to_json(*world.report)) : py::object(py::none());
  return result;
}

/// Python's own handler of SIGINT only notes the signal; what it raises comes about here.
bool python_interrupted() {
  const py::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

struct Results {
  std::vector<study::Row> rows;
  std::vector<study::World> worlds;
  std::vector<study::World> looks;
};

Results run_all(const study::Plan& plan, const world::WorldData& data, int jobs) {
  Results results;
  const study::Work work{.trial =
                             [&](const world::Scenario& scenario, std::uint64_t seed, std::uint64_t index,
                                 const world::TrialOptions& options) {
                               return world::run_trial(scenario, data, seed, index, options);
                             },
                         .network =
                             [&](const world::Scenario& scenario, std::uint64_t seed, std::uint64_t number,
                                 const world::NetworkOptions& options) {
                               return world::run_network(scenario, data, seed, number, options);
                             }};
  const study::Sink sink{.row =
                             [&](const study::Row& row) {
                               results.rows.push_back(row);
                               return io::Result<>{};
                             },
                         .world =
                             [&](const study::World& world) {
                               results.worlds.push_back(world);
                               return io::Result<>{};
                             },
                         .look =
                             [&](const study::World& world) {
                               results.looks.push_back(world);
                               return io::Result<>{};
                             }};
  study::RunOptions options{
      .jobs = jobs, .skip = 0, .captures = {}, .interrupted = python_interrupted, .under_way = [](double) {}};
  io::Result<study::RunEnd> end;
  {
    const py::gil_scoped_release no_gil;
    end = study::run(plan, work, options, sink);
  }
  if (!end) throw std::runtime_error("workers: " + end.error().message());
  if (*end == study::RunEnd::interrupted) throw py::error_already_set();
  // Those of one world are in order; which world's came first is the machine's affair.
  std::ranges::stable_sort(results.looks, {},
                           [](const study::World& look) { return std::pair(look.cell, look.number); });
  return results;
}

Result run(const std::string& path, const py::object& trials, const py::object& seed, const py::dict& set,
           int jobs, const py::dict& sweep) {
  if (jobs < 1 || jobs > max_jobs) throw py::value_error(fmt::format("jobs: expected 1 to {}", max_jobs));
  const auto folder = world::data_directory();
  const auto plan = study::make_plan(path, assignments_of(set, trials, seed), axes_of(sweep), folder);
  if (!plan) throw py::value_error(to_string(plan.error()));
  const auto data = world::WorldData::load(folder);
  if (!data) throw py::value_error(to_string(data.error()));

  Result result;
  study::Summarizer summarizer(*plan);
  const auto results = run_all(*plan, *data, jobs);
  for (const auto& row : results.rows) {
    summarizer.add(row);
    result.rows.append(dictionary(report::fields(*plan, row)));
  }
  for (const auto& world : results.worlds) {
    summarizer.add(world);
    result.worlds.append(dictionary(*plan, world));
  }
  for (const auto& look : results.looks) result.looks.append(dictionary(*plan, look));
  result.summary = from_json(report::json(summarizer.finish()));
  return result;
}

std::string parse_nat(const std::string& text) {
  const auto behaviour = world::parse_nat(text);
  if (behaviour) return to_string(*behaviour);
  const auto& error = behaviour.error();
  throw py::value_error(fmt::format("{}: character {}: {}{}", text, error.offset + 1, error.message,
                                    error.nearest.empty() ? "" : "; did you mean '" + error.nearest + "'?"));
}

py::dict nat_presets() {
  py::dict presets;
  const auto& catalogue = world::nat_catalogue();
  if (!catalogue) throw py::value_error(to_string(catalogue.error()));
  for (const auto& preset : catalogue->names) presets[py::str(preset.name)] = py::str(preset.inline_form);
  return presets;
}

}  // namespace

PYBIND11_MODULE(flaresim, module) {
  module.doc() =
      "How often do peers behind NATs get a direct connection? Real protocol code in a simulated network.";
  module.attr("__version__") = study::build_info().version;
  py::class_<Result>(module, "Result", "What a run found.")
      .def_readonly("rows", &Result::rows, "One dictionary a trial, or an attempt of a network.")
      .def_readonly("worlds", &Result::worlds, "One dictionary a world of a network, with its report.")
      .def_readonly("looks", &Result::looks,
                    "One dictionary a look at a world of a network, with its report so far.")
      .def_readonly("summary", &Result::summary, "Counts, rates with intervals, groups, and the build.")
      .def("frame", &Result::frame, "The rows as a pandas data frame.");
  module.def("run", &run, "Runs a scenario file.", py::arg("path"), py::arg("trials") = py::none(),
             py::arg("seed") = py::none(), py::arg("set") = py::dict(), py::arg("jobs") = 1,
             py::arg("sweep") = py::dict());
  module.def("parse_nat", &parse_nat, "The canonical inline form of a NAT.", py::arg("text"));
  module.def("nat_presets", &nat_presets, "Names of the presets, with their inline forms.");
}
