// What the simulator costs, as ratios to what cannot be avoided, measured beside it in the same run.
//
//   ninja -C build/release flaresim_bench && build/release/tests/bench/flaresim_bench
//     --smoke                          tiny sizes: does everything still work? (what ctest runs)
//     --benchmark_filter=pair_trial    one of them; other Google Benchmark options work too
//     --benchmark_format=json
//
// All times are CPU time of this process, and the machine's load is printed on top (Debian builds Google
// Benchmark with assertions, hence its warning; here it only counts rounds). What is compared takes turns, and
// medians over the rounds are shown. Nothing here judges a time: machines differ, and so do their neighbours.
//
// nated_packets   UDP, 200 bytes, 100 hosts in pairs: host → NatBox → Internet core → NatBox → host, packets
//                 carried per second of CPU. Checksums are off everywhere.
//   over_stock_routers  ratio to the same hosts and the same core with a stock ns-3 IPv4 router in place of
//                 each NatBox. The baseline that is fairest to stock ns-3: its routers forward only, on our
//                 light device, without ARP, queues or a list of routing protocols; everything else is the
//                 same, which pulls the ratio towards 1. Same number of forwarding hops.
//   over_stock_network  ratio to ns-3 from end to end, as its users build networks: InternetStackHelper,
//                 point-to-point links, routers and a core router with a route a host. Three forwarding hops
//                 as well; hosts use ns-3's sockets directly, so that none of our code runs there. Stock static
//                 routing looks at every route for every packet, so that this ratio grows with the hosts.
// nat_translation One NAT alone, with 1000 and with a million mappings, packets of flows at random: CPU time of a
//                 translation, the best of many short batches.
//   at_most_over_at_1000  what the size of the table costs: cache misses.
//   at_1000_over_stock_network  ratio to what ns-3 spends to carry the same datagram from host to host (as in
//                 over_stock_network).
//   bytes/mapping   resident, at a million.
// event_queue     One event run and another scheduled, with four million pending.
//   over_stock    ratio to ns3::PriorityQueueScheduler, one heap.
// tcp_sockets     One TCP socket made, by copying a prototype.
//   over_stock    ratio to ns-3's way, which sets each attribute from its default.
// pair_trial      One trial of scenarios/pair.yaml (both peers port-restricted), building and teardown of its
//                 world included; CPU, simulator events, packets through the core, security handshakes begun.
//   over_bare     ratio to bare_handshakes + bare_tcp.
//   bare_handshakes  libsodium alone: exactly the X25519 (agreement and public keys), signing and verifying
//                 calls of the trial, and the AEAD calls with associated data, which are those of Noise
//                 handshakes; they are written down during a trial, and called again with the same lengths.
//                 Hashes, identities' keys, and transport_aead (what secured connections carry) are left out.
//   bare_tcp      bare hosts and the core, without NATs and protocols: the same TCP connections, and the same
//                 segments written at the same instants, as captured from the trial. Building and teardown of
//                 the hosts is included here too.
// flare_2022      Trials of scenarios/flare-2022.yaml per second on one core.
// idle_hosts      Bytes per dual-stack host with a peer that listens on both families, 10 000 in one Internet.
//                 heap: handed out by malloc; resident: what the kernel holds for it.
// relayed_pairs   Bytes per relayed connection between two such hosts, on top of the hosts: both peers' and
//                 the relay's share.
// quic_connections  Bytes per idle QUIC connection, both ends and the swarm's and the protocols' state of it included:
//                 142 nodes in one Internet, each connected to every other, which makes 10 011; measured when identify
//                 has run and the handshakes are long over.
// tcp_connections  The same over TCP, with Noise and yamux.
// network/N      One world of scenarios/network-10k.yaml with N nodes: what it costs a node and hour online, and a node
//                 at the peak of the heap, connections included.
// quic_handshake  CPU of one handshake, both ends: two of our endpoints on datagrams in memory, from the first datagram
//                 until the connection is closed and forgotten.
//   over_bare     ratio to a handshake by ngtcp2 and GnuTLS alone, with the same certificates, cipher suites and
//                 verification of certificates, of which neither side remembers any.
// tls_handshake   The same for the upgrade of a stream in memory, beside GnuTLS alone between two buffers.
// noise_handshake The same stream upgraded by Noise, both ends, with the real primitives and with the modelled ones.
//   real_over_modelled  what background peers of a network save.
// noise_stream_small, noise_stream_large  The same for 200 and for 60 000 bytes, written and read over such a stream.
// signed_record   CPU to verify and to make the signed addresses that identify sends, whichever Noise runs below.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <string_view>

#include "tests/bench/measure.h"
#include "tests/bench/noise.h"

int main(int count, char** arguments) {
  using flaresim::bench::Sizes;
  const auto end = std::remove(arguments + 1, arguments + count, std::string_view("--smoke"));
  const bool smoke = end != arguments + count;
  count = static_cast<int>(end - arguments);

  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) return 1;
  const auto sizes = smoke ? Sizes::smoke() : Sizes{};
  // Memory first, while the heap has no holes to hide it in.
  flaresim::bench::register_memory(sizes);
  flaresim::bench::register_networks(sizes);
  flaresim::bench::register_handshakes(sizes);
  flaresim::bench::register_noise(sizes);
  flaresim::bench::register_packets(sizes);
  flaresim::bench::register_nat_table(sizes);
  flaresim::bench::register_simulator(sizes);
  flaresim::bench::register_trial(sizes);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
