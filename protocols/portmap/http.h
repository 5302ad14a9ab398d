#pragma once

#include <string>

#include "protocols/io/network.h"
#include "protocols/io/result.h"
#include "protocols/io/task.h"
#include "protocols/portmap/inbox.h"

namespace flaresim::portmap {

/// Where something is fetched from: `http://192.168.1.1:5000/rootDesc.xml`.
struct Url {
  io::Endpoint host;
  std::string target;

  /// Absolute, plain HTTP, with an address for a host: all that UPnP devices have. Error::malformed_answer.
  static io::Result<Url> parse(std::string_view text);
  /// A reference in a document from here: absolute, or an absolute path, or a path beside ours. Another host than ours is
  /// an Error::malformed_answer, or a document could make us ask anybody.
  io::Result<Url> resolve(std::string_view reference) const;
};

struct HttpRequest {
  std::string method = "GET";
  std::string soap_action{};
  std::string body{};
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

/// One HTTP exchange on a connection of its own, of at most 5 s and 64 KiB.
io::Task<io::Result<HttpAnswer>> fetch(SessionPtr session, Url url, HttpRequest request);

}  // namespace flaresim::portmap
