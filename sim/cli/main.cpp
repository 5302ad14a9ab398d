#include "sim/cli/program.h"
#include "sim/os/node_command.h"

/// The commands of other parts of the house go into the last argument.
int main(int argc, char** argv) {
  return flaresim::cli::run_program(argc, argv, flaresim::world::run_trial, flaresim::world::run_network,
                                    {flaresim::os::add_node_command});
}
