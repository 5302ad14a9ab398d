#pragma once

#include <array>
#include <string>

/// Who is who in the lab. The documentation prefixes of RFC 5737 and RFC 3849 stand for the Internet.
namespace flaresim::kernel {

inline const std::string a4 = "192.168.1.10", b4 = "192.168.1.11", lan4 = "192.168.1.0/24",
                         wan4 = "203.0.113.1", r4 = "198.51.100.1", s4 = "198.51.100.2", m4 = "198.51.100.77";
inline const std::string a6 = "2001:db8:1::a", b6 = "2001:db8:1::b", lan6 = "2001:db8:1::/64",
                         wan6 = "2001:db8:2::1", r6 = "2001:db8:3::1", s6 = "2001:db8:3::2",
                         m6 = "2001:db8:3::77";

/// The router's own outside addresses beside `wan4`, where a ruleset has a pool of them.
inline const std::array<std::string, 3> pool4{"203.0.113.2", "203.0.113.3", "203.0.113.4"};

}  // namespace flaresim::kernel
