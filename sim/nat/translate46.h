#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sim/nat/packet.h"
#include "sim/nat/translation.h"

namespace flaresim::nat {

/// An IPv6 prefix under which IPv4 addresses are written as IPv6 ones. RFC 6052 §2.2.
class Prefix64 {
 public:
  /// `bits` is 32, 40, 48, 56, 64 or 96, and bits 64 to 71 of the prefix are zero; nothing otherwise.
  static std::optional<Prefix64> make(const Address& prefix, unsigned bits);
  /// 64:ff9b::/96
  static Prefix64 well_known();

  Address embed(const Address& v4) const;
  /// The IPv4 address in an address under this prefix.
  std::optional<Address> extract(const Address& v6) const;

  friend bool operator==(const Prefix64&, const Prefix64&) = default;

 private:
  Prefix64(const Address& prefix, unsigned bits) : prefix_(prefix), bits_(bits) {}
  Address prefix_;
  unsigned bits_;
};

/// Who an address is on the other side of a translator. IPv4 addresses are IPv4-mapped ones.
class AddressMap {
 public:
  virtual ~AddressMap() = default;
  virtual std::optional<Address> to_v4(const Address& v6) = 0;
  virtual std::optional<Address> to_v6(const Address& v4) = 0;
};

/// The IP/ICMP translation algorithm, RFC 7915: headers, checksums, ICMP and the packets in ICMP errors,
/// fragments.
///
/// 1. An IPv4 packet that is too long for the IPv6 side is answered with ICMP "fragmentation needed" when it
///    must not be fragmented, and otherwise sent in fragments (§4).
/// 2. An ICMPv6 error from a router that has no IPv4 address comes from 192.0.0.8 (RFC 7600).
/// 3. Not translated: fragments of ICMP, IPv6 packets with a routing header, IPv4 source routes, ICMP messages
///    without a counterpart (§4.2, §5.2). Extensions of ICMP errors (RFC 4884) are cut off.
/// 4. A UDP datagram over IPv4 without a checksum gets one where `seals_udp` is on (§4.5), unless it is a
///    fragment: then it is dropped. Off: it stays without, for worlds that count no checksums.
class Translator46 {
 public:
  struct Options {
    std::uint16_t mtu_v6_bytes = 1500;
    bool seals_udp = false;
  };
  Translator46(AddressMap& addresses, const Options& options) : addresses_(addresses), options_(options) {}

  Translated v6_to_v4(std::span<const std::uint8_t> packet);
  Translated v4_to_v6(std::span<const std::uint8_t> packet);

 private:
  using Bytes = std::vector<std::uint8_t>;
  struct Fragment;
  tl::expected<Bytes, Rule> to_v4(std::span<std::uint8_t> bytes, bool quoted);
  tl::expected<Bytes, Rule> to_v6(std::span<std::uint8_t> bytes, bool quoted);
  tl::expected<Bytes, Rule> icmp_to_v4(const Packet& packet);
  tl::expected<Bytes, Rule> icmp_to_v6(const Packet& packet);
  std::optional<Address> source_to_v4(const Packet& packet);
  std::vector<Bytes> in_fragments(const Bytes& packet, std::uint32_t identification) const;

  AddressMap& addresses_;
  Options options_;
  std::uint16_t next_identification_ = 1;
};

/// Stand-ins, as IPv4 addresses, for inside hosts that a NAT cannot hold by their own: hosts with IPv6
/// addresses, and hosts of different subscribers with the same address. They are of 198.18.0.0/15 (RFC 2544),
/// which no network routes, and are never seen outside of the box.
template <class Key>
class StandIns {
 public:
  static constexpr std::size_t max_hosts = 1u << 17;

  /// The same for the same key; nothing when all are given away.
  std::optional<Address> of(const Key& key) {
    const auto found = numbers_.find(key);
    if (found != numbers_.end()) return at(found->second);
    if (keys_.size() >= max_hosts) return {};
    const auto number = static_cast<std::uint32_t>(keys_.size());
    numbers_.emplace(key, number);
    keys_.push_back(key);
    return at(number);
  }
  /// Whether a stand-in is for the key already.
  bool knows(const Key& key) const { return numbers_.contains(key); }
  /// Whom it stands for.
  const Key* find(const Address& stand_in) const {
    if (!is_stand_in(stand_in)) return nullptr;
    const auto number = load32(stand_in, 12) & (max_hosts - 1);
    return number < keys_.size() ? &keys_[number] : nullptr;
  }
  static bool is_stand_in(const Address& address) {
    return load32(address, 8) == 0xffff && load32(address, 12) >> 17 == network >> 17;
  }

 private:
  static constexpr std::uint32_t network = 198u << 24 | 18u << 16;
  static Address at(std::uint32_t number) {
    Address address{};
    store32(address, 8, 0xffff);
    store32(address, 12, network | number);
    return address;
  }

  std::map<Key, std::uint32_t> numbers_;
  std::vector<Key> keys_;
};

/// The customer side of 464XLAT, RFC 6877 §4: on a phone that has IPv6 only, or in a home router. IPv4 packets
/// from inside leave as IPv6 packets, from the own prefix to the provider's (the NAT64's, as learned by RFC 7050
/// or RFC 8781); IPv6 passes. Peers use addresses and not names, so this is all there is of DNS64: a host that
/// cannot speak IPv4 reaches an IPv4 address by writing it under the provider's prefix, which happens here.
class Clat final : public HeaderTranslation, private AddressMap {
 public:
  struct Config {
    Prefix64 own;
    Prefix64 provider;
    /// The IPv4 network inside, such as 192.0.0.4/32 on a phone (RFC 7335).
    Address local_v4;
    unsigned local_bits = 32;
  };
  Clat(const Config& config, const Translator46::Options& options);

  Translated outbound(std::span<const std::uint8_t> packet) override;
  Translated inbound(std::span<const std::uint8_t> packet) override;

 private:
  std::optional<Address> to_v4(const Address& v6) override;
  std::optional<Address> to_v6(const Address& v4) override;
  bool is_local(const Address& v4) const;

  Config config_;
  Translator46 translator_;
};

/// What makes a NAT a NAT64 (RFC 6146): IPv6 packets to addresses under the prefix become IPv4 packets of a
/// stand-in for their sender, which the NAT then translates as it would any inside host's, by all of its axes
/// (binding information base and session tables are the NAT's; RFC 6146 asks for endpoint-independent mapping).
/// Other IPv6 packets pass. RFC 6146 §3.5: a packet whose source is under the prefix is dropped.
class Nat64Edge final : public HeaderTranslation, private AddressMap {
 public:
  Nat64Edge(const Prefix64& prefix, const Translator46::Options& options);

  Translated outbound(std::span<const std::uint8_t> packet) override;
  Translated inbound(std::span<const std::uint8_t> packet) override;

 private:
  std::optional<Address> to_v4(const Address& v6) override;
  std::optional<Address> to_v6(const Address& v4) override;

  Prefix64 prefix_;
  StandIns<Address> hosts_;
  Translator46 translator_;
};

}  // namespace flaresim::nat
