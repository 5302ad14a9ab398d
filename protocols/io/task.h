#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace flaresim::io {

using Executor = boost::asio::any_io_executor;

/// A coroutine that starts when it is awaited.
template <class T = void>
using Task = boost::asio::awaitable<T>;

/// Runs a task by itself. An exception that leaves it is a broken invariant and ends the program.
void spawn(const Executor& executor, Task<void> task);

}  // namespace flaresim::io
