#include "sim/os/socket_error.h"

#include <cerrno>

namespace flaresim::os {

std::error_code socket_error(const boost::system::error_code& error) {
  // A reset that arrives after the remote has closed is told as a broken pipe (Linux tcp_reset()).
  if (error.value() == EPIPE) return std::make_error_code(std::errc::connection_reset);
  return {error.value(), std::generic_category()};
}

std::error_code connect_error(const boost::system::error_code& error) {
  switch (error.value()) {
    case ECONNRESET:  // the reset met a simultaneous open
      return std::make_error_code(std::errc::connection_refused);
    case EHOSTUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL:  // no address of ours leads there
    case EACCES:
    case EPERM:  // our own firewall
      return std::make_error_code(std::errc::network_unreachable);
    default:
      return socket_error(error);
  }
}

}  // namespace flaresim::os
