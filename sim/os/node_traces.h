#pragma once

#include <functional>
#include <string>
#include <system_error>

#include "protocols/io/result.h"
#include "protocols/security/tls_identity.h"
#include "protocols/transport/quic/profile.h"

namespace flaresim::os {

/// Adds lines to the end of a file, which is made, readable by its owner only, when there is none: what several
/// programs write to one key log stays whole. `on_failure` hears of each line that could not be written.
io::Result<security::KeyLog> append_keys_to(const std::string& path,
                                            std::function<void(std::error_code)> on_failure);

using OpenQlog = std::function<quic::QlogSink(std::string_view name)>;

/// One file `<name>.sqlog` a connection in a folder, which is made when there is none. `on_failure` hears of files
/// that could not be made or written; the connection goes on without.
io::Result<OpenQlog> qlogs_in(const std::string& folder, std::function<void(std::error_code)> on_failure);

}  // namespace flaresim::os
