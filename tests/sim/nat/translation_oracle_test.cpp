// Our header translations beside other people's: tayga's (stateless NAT64, RFC 7915) and the kernel's SNPT and
// DNPT (NPTv6, RFC 6296). A network namespace of its own routes what the test writes into one TUN device through
// the translator and back to another. Skipped, with the reason, where there are no namespaces or no translator.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "sim/nat/npt66.h"
#include "sim/nat/translate46.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::nat {
namespace {

using test::Bytes;
using test::Host;

bool shell(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

/// A TUN device of the current namespace, in the hands of the test.
class Tun {
 public:
  explicit Tun(const std::string& name) : fd_(open("/dev/net/tun", O_RDWR | O_NONBLOCK)) {
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    works_ = fd_ >= 0 && ioctl(fd_, TUNSETIFF, &request) == 0 && shell("ip link set " + name + " up");
  }
  ~Tun() {
    if (fd_ >= 0) close(fd_);
  }
  Tun(const Tun&) = delete;
  Tun& operator=(const Tun&) = delete;

  bool works() const { return works_; }
  void write(const Bytes& packet) const {
    EXPECT_EQ(::write(fd_, packet.data(), packet.size()), ssize_t(packet.size()));
  }
  /// The next packet that is not the kernel's own chatter (router solicitations, multicast reports).
  std::optional<Bytes> read() const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    for (;;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd wait{fd_, POLLIN, 0};
      if (left.count() <= 0 || poll(&wait, 1, static_cast<int>(left.count())) <= 0) return {};
      Bytes packet(2000);
      const auto size = ::read(fd_, packet.data(), packet.size());
      if (size <= 0) continue;
      packet.resize(static_cast<std::size_t>(size));
      const bool multicast = packet[0] >> 4 == 6 && packet[24] == 0xff;
      if (!multicast) return packet;
    }
  }

 private:
  int fd_;
  bool works_ = false;
};

/// Two devices in a new namespace that routes. The process stays in it: this program has no other use.
struct Routed : testing::Test {
  void SetUp() override {
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "network namespaces need root";
    shell("ip link set lo up");
    near.emplace("near");
    far.emplace("far");
    if (!near->works() || !far->works()) GTEST_SKIP() << "no /dev/net/tun";
    for (const char* version : {"ipv4", "ipv6"})
      std::ofstream(std::string("/proc/sys/net/") + version + "/conf/all/forwarding") << 1;
  }

  /// What one device sends on of a packet that the other gets.
  static std::optional<Bytes> through(const Tun& from, const Tun& to, const Bytes& packet) {
    from.write(packet);
    return to.read();
  }

  std::optional<Tun> near;
  std::optional<Tun> far;
};

/// Without what depends on how many routers were on the way, on the translator's own counter, and on its
/// age: tayga 0.9.2 forbids the fragmentation of every packet that is none, RFC 7915 §5.1 of large ones only.
Bytes comparable(Bytes packet) {
  if (packet.size() < 20) return packet;
  if (packet[0] >> 4 == 6) {
    packet[7] = 0;
    return packet;
  }
  packet[8] = 0;
  const bool fragment = (test::read16(packet, 6) & 0x3fff) != 0;
  if (!fragment) test::write16(packet, 4, 0), test::write16(packet, 6, 0);
  test::seal_ipv4(packet);
  // The same in the packet that an error quotes; the sum over its header stays what it is.
  const bool error = packet[9] == 1 && (packet[20] == 3 || packet[20] == 11 || packet[20] == 12);
  if (error && packet.size() >= 48) {
    for (const std::size_t field : {4, 6, 10}) test::write16(packet, 28 + field, 0);
  }
  return packet;
}

// tayga

struct Tayga : Routed {
  void SetUp() override {
    Routed::SetUp();
    if (IsSkipped()) return;
    if (!shell("command -v tayga")) GTEST_SKIP() << "tayga is not installed";
    folder = std::filesystem::temp_directory_path() / ("tayga-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "tayga.conf")
        << "tun-device nat64\nipv4-addr 192.168.255.1\nprefix 2001:db8:100::/40\n"
           "data-dir "
        << folder.string() << "\n";
    const auto configuration = " -c " + (folder / "tayga.conf").string();
    if (!shell("tayga --mktun" + configuration)) GTEST_SKIP() << "tayga cannot make its device";
    shell("ip link set nat64 up");
    shell("ip route add 198.51.100.2/32 dev far; ip route add 192.0.2.33/32 dev nat64");
    shell(
        "ip -6 route add 2001:db8:1c0:2:21::/128 dev near; ip -6 route add 2001:db8:1c6:3364:2::/128 dev "
        "nat64");
    process = fork();
    if (process == 0) {
      const int nowhere = open("/dev/null", O_RDWR);
      dup2(nowhere, 1);
      dup2(nowhere, 2);
      execlp("tayga", "tayga", "-n", "-c", (folder / "tayga.conf").c_str(), nullptr);
      _exit(127);
    }
    for (int tries = 0; tries < 20; ++tries) {  // until it answers
      if (through(*near, *far, test::udp(h6, h4_as_v6))) return;
    }
    FAIL() << "tayga does not translate";
  }
  void TearDown() override {
    if (process > 0) {
      kill(process, SIGTERM);
      waitpid(process, nullptr, 0);
    }
    if (!folder.empty()) std::filesystem::remove_all(folder);
  }

  void expect_same_from_v6(const Bytes& packet) {
    const auto theirs = through(*near, *far, packet);
    const auto ours = translator.v6_to_v4(packet);
    ASSERT_EQ(theirs.has_value(), ours.packets.size() == 1) << to_string(ours.rule);
    if (theirs) {
      EXPECT_EQ(comparable(*theirs), comparable(ours.packets[0]));
    }
    ++compared;
  }
  void expect_same_from_v4(const Bytes& packet) { expect_same_from_v4(packet, translator); }
  void expect_same_from_v4(const Bytes& packet, Translator46& as) {
    const auto ours = as.v4_to_v6(packet);
    far->write(packet);
    for (const auto& piece : ours.packets) {
      const auto theirs = near->read();
      ASSERT_TRUE(theirs);
      EXPECT_EQ(comparable(*theirs), comparable(piece));
    }
    if (ours.packets.empty()) {
      EXPECT_FALSE(near->read()) << to_string(ours.rule);
    }
    ++compared;
  }

  struct Stateless final : AddressMap {
    std::optional<Address> to_v4(const Address& v6) override { return under.extract(v6); }
    std::optional<Address> to_v6(const Address& v4) override { return under.embed(v4); }
    Prefix64 under = *Prefix64::make(test::address("2001:db8:100::"), 40);
  } addresses;
  Translator46 translator{addresses, {.mtu_v6_bytes = 1500, .seals_udp = true}};
  // RFC 7915 appendix A
  const Host h6{"2001:db8:1c0:2:21::", 4001}, h6_as_v4{"192.0.2.33", 4001};
  const Host h4{"198.51.100.2", 53}, h4_as_v6{"2001:db8:1c6:3364:2::", 53};
  std::filesystem::path folder;
  pid_t process = 0;
  int compared = 0;
};

TEST_F(Tayga, TranslatesTrafficAsWeDo) {
  std::mt19937 random(1);
  for (const std::size_t size : {0u, 1u, 2u, 100u, 1199u, 1231u, 1232u, 1233u, 1400u, 1452u}) {
    Bytes payload(size);
    for (auto& byte : payload) byte = static_cast<std::uint8_t>(random());
    expect_same_from_v6(test::udp(h6, h4_as_v6, payload));
    expect_same_from_v4(test::udp(h4, h6_as_v4, payload));
    const test::TcpFields fields{
        .sequence = 1,
        .acknowledgement = 2,
        .payload = Bytes(payload.begin(),
                         payload.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(size, 1440)))};
    expect_same_from_v6(test::tcp(h6, h4_as_v6, test::ACK, fields));
    expect_same_from_v4(test::tcp(h4, h6_as_v4, test::SYN, fields));
  }
  expect_same_from_v6(test::echo_request(h6, h4_as_v6, 7));
  expect_same_from_v6(test::echo_reply(h6, h4_as_v6, 7));
  expect_same_from_v4(test::echo_request(h4, h6_as_v4, 7));
  expect_same_from_v4(test::echo_reply(h4, h6_as_v4, 7));
  EXPECT_EQ(compared, 44);
}

TEST_F(Tayga, TranslatesErrorsAsWeDo) {
  const auto about6 = test::udp(h4_as_v6, h6), about4 = test::udp(h6_as_v4, h4);
  // tayga 0.9.2 does not know code 3, address unreachable (RFC 7915 §5.2: host unreachable).
  for (const std::uint8_t code : {0, 1, 2, 4})
    expect_same_from_v6(test::icmp_error(h6, h4_as_v6, 1, code, about6));
  for (const std::uint8_t code : {0, 1}) expect_same_from_v6(test::icmp_error(h6, h4_as_v6, 3, code, about6));
  for (const std::uint8_t code : {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
    expect_same_from_v4(test::icmp_error(h4, h6_as_v4, 3, code, about4));
  for (const std::uint8_t code : {0, 1})
    expect_same_from_v4(test::icmp_error(h4, h6_as_v4, 11, code, about4));
  EXPECT_EQ(compared, 23);
}

TEST_F(Tayga, TranslatesFragmentsAsWeDo) {
  const auto datagram = test::udp(h4, h6_as_v4, Bytes(1000, 9));
  for (const std::uint16_t flags : {0x2000, 0x2000 | 50, 50}) {
    Bytes fragment(datagram.begin(), datagram.begin() + 20 + 400);
    if ((flags & 0x1fff) != 0) fragment.resize(20 + 200);
    test::write16(fragment, 2, static_cast<std::uint16_t>(fragment.size()));
    test::write16(fragment, 4, 0x1234);
    test::write16(fragment, 6, flags);
    test::seal_ipv4(fragment);
    expect_same_from_v4(fragment);
  }
  // What may be fragmented is cut to the smallest MTU of IPv6, as long as nobody says that more fits.
  Translator46 careful(addresses, {.mtu_v6_bytes = 1280, .seals_udp = true});
  auto large = test::udp(h4, h6_as_v4, Bytes(1400, 9));
  test::write16(large, 6, 0);
  test::seal_ipv4(large);
  expect_same_from_v4(large, careful);
  EXPECT_EQ(compared, 4);
}

// The kernel

struct Kernel : Routed {};

TEST_F(Kernel, MapsPrefixesAsWeDo) {
  const std::string out = "ip6tables-legacy -t mangle -A POSTROUTING -o far -s fd01:203:405::/48 -j SNPT ";
  const std::string in = "ip6tables-legacy -t mangle -A PREROUTING -i far -d 2001:db8:1::/48 -j DNPT ";
  if (!shell(out + "--src-pfx fd01:203:405::/48 --dst-pfx 2001:db8:1::/48") ||
      !shell(in + "--src-pfx 2001:db8:1::/48 --dst-pfx fd01:203:405::/48"))
    GTEST_SKIP() << "no ip6tables with SNPT and DNPT";
  shell("ip -6 route add 2001:db8:99::/48 dev far; ip -6 route add fd01:203:405::/48 dev near");
  auto translation = Npt66::make(test::address("fd01:203:405::"), test::address("2001:db8:1::"), 48).value();
  std::mt19937 random(1);
  const Host remote{"2001:db8:99::1", 53};
  int compared = 0;
  for (const std::uint16_t subnet : {0x0000, 0x0001, 0x1234, 0xd54f, 0x2aaf, 0x2ab0, 0x2ab1, 0xfffe}) {
    for (int i = 0; i < 8; ++i) {
      char text[64];
      std::snprintf(text, sizeof text, "fd01:203:405:%x:%x::%x", subnet, unsigned(random() % 0xffff + 1),
                    unsigned(random() % 0xffff + 1));
      const auto sent = test::udp({text, 4001}, remote);
      const auto theirs = through(*near, *far, sent);
      ASSERT_TRUE(theirs) << text;
      EXPECT_EQ(comparable(*theirs), comparable(translation.outbound(sent).packets.at(0))) << text;
      const auto answer = test::udp(remote, test::read(*theirs).source);
      const auto back = through(*far, *near, answer);
      ASSERT_TRUE(back) << text;
      EXPECT_EQ(comparable(*back), comparable(translation.inbound(answer).packets.at(0)));
      compared += 2;
    }
  }
  EXPECT_EQ(compared, 128);
}

}  // namespace
}  // namespace flaresim::nat
