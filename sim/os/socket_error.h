#pragma once

#include <boost/system/error_code.hpp>
#include <system_error>

namespace flaresim::os {

/// What the kernel said about a socket in use, in the words of the seam.
std::error_code socket_error(const boost::system::error_code& error);

/// The same about a connection that was being opened.
std::error_code connect_error(const boost::system::error_code& error);

}  // namespace flaresim::os
