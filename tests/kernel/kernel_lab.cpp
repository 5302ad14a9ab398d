#include "tests/kernel/kernel_lab.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "tests/kernel/addresses.h"
#include "tests/kernel/timeouts.h"

namespace flaresim::kernel {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

/// In the namespace of the calling thread.
void run(const std::string& command, const std::string& input) {
  FILE* pipe = ::popen(command.c_str(), "w");
  if (!pipe) fail(command);
  std::fwrite(input.data(), 1, input.size(), pipe);
  if (::pclose(pipe) != 0) throw std::runtime_error(fmt::format("{} does not accept:\n{}", command, input));
}

void set(const std::string& key, const std::string& value) {
  std::ofstream file("/proc/sys/net/" + key);
  if (!(file << value << std::flush)) throw std::runtime_error("cannot set " + key);
}

/// Before there are devices, so that they inherit what is set for all to come.
void prepare_kernel() {
  for (const std::string family : {"ipv4", "ipv6"})
    for (const std::string which : {"all", "default"})
      set(fmt::format("{}/conf/{}/forwarding", family, which), "1");
  for (const std::string which : {"all", "default"}) {
    set(fmt::format("ipv4/conf/{}/rp_filter", which), "0");
    set(fmt::format("ipv4/conf/{}/send_redirects", which), "0");
    set(fmt::format("ipv6/conf/{}/accept_dad", which), "0");
  }
  set("ipv6/conf/default/addr_gen_mode", "1");  // no link-local addresses, hence no talk of the kernel's own
  // What a packet is answered with, not how often.
  set("ipv4/icmp_ratemask", "0");
  set("ipv6/icmp/ratelimit", "0");
}

void shorten_timeouts() {
  for (const auto& [key, seconds] : kernel_timeouts())
    set("netfilter/nf_conntrack_" + key, std::to_string(seconds.count()));
}

std::string configuration(const KernelLab::Addresses& addresses) {
  std::string script = "link set lo up\nlink set inside up\nlink set outside up\n";
  for (const std::string device : {"outside", "inside"})
    for (const auto& address : addresses.outside)
      script += fmt::format("addr add {} dev {}{}\n", address, device,
                            address.find(':') < address.size() ? " nodad" : "");
  for (const auto& network : addresses.networks) script += fmt::format("route add {} dev inside\n", network);
  return script + "route add default dev outside\nroute add ::/0 dev outside\n";
}

bool is_own_talk(const Bytes& packet) {
  constexpr std::size_t destination6 = 24;
  return packet.at(0) >> 4 == 6 && packet.at(destination6) == 0xff;  // multicast listener reports
}

}  // namespace

class KernelLab::Device {
 public:
  explicit Device(const char* name) : file_(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)) {
    if (file_ < 0) fail("/dev/net/tun");
    ifreq request{};
    std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (::ioctl(file_, TUNSETIFF, &request) != 0) fail("TUNSETIFF");
  }
  ~Device() { ::close(file_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  void write(const Bytes& packet) {
    // The kernel refuses what has no valid IP version; a router would not see such a packet either.
    if (::write(file_, packet.data(), packet.size()) < 0 && errno != EINVAL) fail("write to a TUN device");
  }

  void read_all(Side side, std::vector<Emitted>& into) {
    Bytes packet(65536);
    for (;;) {
      packet.resize(packet.capacity());
      const auto size = ::read(file_, packet.data(), packet.size());
      if (size < 0 && errno == EAGAIN) return;
      if (size < 0) fail("read from a TUN device");
      packet.resize(static_cast<std::size_t>(size));
      if (!is_own_talk(packet)) into.push_back({side, packet});
    }
  }

 private:
  int file_;
};

KernelLab::KernelLab(const std::string& rules, const Addresses& addresses) {
  // A thread of its own, as it stays in the namespace that it enters. The devices then keep the namespace.
  std::exception_ptr failure;
  std::thread([&] {
    try {
      build(rules, addresses);
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

void KernelLab::build(const std::string& rules, const Addresses& addresses) {
  if (::unshare(CLONE_NEWNET) != 0) fail("unshare");
  prepare_kernel();
  inside_ = std::make_unique<Device>("inside");
  outside_ = std::make_unique<Device>("outside");
  run("ip -batch -", configuration(addresses));
  run("nft -f -", rules);
  shorten_timeouts();
}

KernelLab::~KernelLab() = default;

KernelLab::Addresses KernelLab::usual_addresses() {
  Addresses addresses{{lan4, lan6}, {wan4}};
  addresses.outside.insert(addresses.outside.end(), pool4.begin(), pool4.end());
  addresses.outside.push_back(wan6);
  return addresses;
}

std::optional<std::string> KernelLab::missing() {
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "no TUN devices here: /dev/net/tun cannot be opened";
  for (const char* program : {"nft", "ip"})
    if (std::system(fmt::format("command -v {} >/dev/null", program).c_str()) != 0)
      return fmt::format("{} is not installed", program);
  std::optional<std::string> reason;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0)
      reason = fmt::format("no network namespaces here: {}", std::strerror(errno));
  }).join();
  return reason;
}

std::vector<Emitted> KernelLab::send(Side from, const Bytes& packet) {
  const auto read_all = [this] {
    std::vector<Emitted> emitted;
    inside_->read_all(Side::inside, emitted);
    outside_->read_all(Side::outside, emitted);
    return emitted;
  };
  if (!schedule_) schedule_ = std::chrono::steady_clock::now();
  if (!read_all().empty()) throw std::runtime_error("the kernel sent a packet that nothing had asked for");
  (from == Side::inside ? inside_ : outside_)->write(packet);
  return read_all();
}

void KernelLab::wait(std::chrono::milliseconds time) {
  schedule_ = schedule_.value_or(std::chrono::steady_clock::now()) + time;
  const auto delay = sleep_punctually_until(*schedule_);
  worst_delay_ = std::max(worst_delay_, std::chrono::ceil<std::chrono::milliseconds>(delay));
}

std::chrono::nanoseconds sleep_punctually_until(std::chrono::steady_clock::time_point time) {
  const sched_param least{.sched_priority =
                              1};  // of those that go before all others; children are as others are
  ::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &least);
  std::this_thread::sleep_until(time);
  return std::chrono::steady_clock::now() - time;
}

}  // namespace flaresim::kernel
