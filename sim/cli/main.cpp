#include "sim/cli/program.h"
#include "sim/os/node_command.h"

/// jemalloc's options (jemalloc(3), TUNING). A large world is gigabytes of small objects that are touched in no order;
/// on pages of 2 MiB the processor finds more of them without walking its tables.
extern "C" [[gnu::visibility("default")]] const char* const malloc_conf = "thp:always,metadata_thp:auto";

/// The commands of other parts of the house go into the last argument.
int main(int argc, char** argv) {
  return flaresim::cli::run_program(argc, argv, flaresim::world::run_trial, flaresim::world::run_network,
                                    {flaresim::os::add_node_command});
}
