#include "sim/cli/program.h"

/// The commands of other parts of the house go into the last argument.
int main(int argc, char** argv) {
  return flaresim::cli::run_program(argc, argv, flaresim::world::run_trial, {});
}
