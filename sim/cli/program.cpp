#include "sim/cli/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "sim/cli/arguments.h"
#include "sim/cli/predictable_keys.h"
#include "sim/study/build_info.h"

namespace flaresim::cli {
namespace {

std::string version_text() {
  const auto& build = study::build_info();
  return fmt::format("flaresim {}{}\nns-3 {}, {}, {}{}", build.version,
                     build.git.empty() ? "" : " (" + build.git + ")", build.ns3, build.compiler,
                     build.build_type, build.id.empty() ? "" : ", build " + build.id);
}

}  // namespace

WorldTrial trial_of(const Context& context, const CaptureArguments& arguments) {
  if (!arguments.predictable_keys) return context.trial;
  fmt::print(
      stderr,
      "warning: --predictable-keys: whoever knows the seed can compute every TLS and QUIC key of these "
      "trials\n");
  return with_predictable_keys(context.trial);
}

int run_program(int argc, const char* const* argv, WorldTrial trial, WorldNetwork network,
                const std::vector<AddCommand>& more) {
  Context context{.trial = std::move(trial),
                  .network = std::move(network),
                  .program = argv[0],
                  .command_line = command_line(argc, argv)};
  CLI::App app("Measures how often peers behind NATs get a direct connection.", "flaresim");
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  add_run_command(app, context);
  add_explain_command(app, context);
  add_nat_command(app);
  add_topology_command(app);
  for (const auto add : more) add(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& error) {
    return error.get_exit_code();
  } catch (const CLI::ParseError& error) {
    // Help and version are parse errors with exit code 0.
    return app.exit(error) == 0 ? exit_fine : exit_usage;
  } catch (const std::exception& exception) {
    fmt::print(stderr, "flaresim: internal error: {}\nrerun: {}\n", exception.what(), context.command_line);
    return exit_internal;
  }
  return context.exit_code;
}

}  // namespace flaresim::cli
