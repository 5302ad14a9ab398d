#include "protocols/io/task.h"

#include <boost/asio/co_spawn.hpp>
#include <exception>

namespace flaresim::io {

void spawn(const Executor& executor, Task<void> task) {
  boost::asio::co_spawn(executor, std::move(task), [](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);
  });
}

}  // namespace flaresim::io
