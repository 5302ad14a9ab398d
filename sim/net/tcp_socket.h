#pragma once

#include <ns3/ipv4-end-point.h>
#include <ns3/ipv6-end-point.h>
#include <ns3/tcp-socket-base.h>

#include <memory>
#include <system_error>

#include "protocols/io/bytes.h"
#include "protocols/io/network.h"

namespace flaresim::net {

class TcpLayer;

/// Who uses a connection. Called from inside the event loop's packet processing: wake somebody up, do nothing
/// else.
class TcpOwner {
 public:
  virtual ~TcpOwner() = default;
  virtual void incoming() = 0;  ///< bytes, the end of the stream, or an error
  virtual void outgoing() = 0;  ///< connected, room to write, or an error
};

/// One end of a TCP connection: ns-3's, with the handshake, the resets and the ends that hole punching needs
/// (RFC 9293 §3.10.7, RFC 5961 §3-4, RFC 6298, and Linux where those leave a choice).
///
/// 1. A SYN that meets our own SYN makes one connection (simultaneous open); sequence and acknowledgement
/// numbers
///    are checked in every state, a RST counts only at exactly the expected number.
/// 2. A passive connection is one that was never sent a SYN: it begins in SYN_SENT without having sent
/// anything,
///    so that both kinds of opening share one path.
/// 3. Retries as Linux: SYN after 1, 3, 7, 15, 31, 63 s and failure at 127 s (tcp_syn_retries 6), SYN|ACK
/// after
///    1, 3, 7, 15, 31 s and failure at 63 s (tcp_synack_retries 5), FIN 8 times with doubling intervals.
/// 4. `abort` in SYN_SENT puts nothing on the wire; later it sends a RST. Either way the 4-tuple is free at
/// once.
/// 5. A FIN leaves when everything written has been acknowledged: ns-3 cannot retransmit data behind its FIN.
/// 6. Unread bytes stay in ns-3's buffer and close the window when it is full; reading reopens it.
class TcpSocket final : public ns3::TcpSocketBase {
 public:
  static ns3::TypeId GetTypeId();
  ns3::TypeId GetInstanceTypeId() const override;

  enum class Opening { active, passive };

  /// A socket that nobody has opened yet. Those are copies of one: for each that ns-3 itself makes, it reads some 40
  /// attributes out of strings.
  static ns3::Ptr<TcpSocket> make();
  TcpSocket();
  TcpSocket(const TcpSocket& prototype);
  ~TcpSocket() override;

  /// Makes it one end of local–remote. Then either `send_syn`, or `receive` with the SYN of a peer.
  void open(TcpLayer& layer, const io::Endpoint& local, const io::Endpoint& remote, Opening opening,
            std::uint32_t initial_sequence);
  void send_syn();
  void receive(ns3::Ptr<ns3::Packet> packet, const ns3::TcpHeader& header, const ns3::Address& from,
               const ns3::Address& to);
  /// ICMP says that the segment with this sequence number could not be delivered.
  void unreachable(std::error_code why, std::uint32_t sequence);

  void set_owner(TcpOwner* owner) { owner_ = owner; }
  const io::Endpoint& local() const { return local_; }
  const io::Endpoint& remote() const { return remote_; }
  Opening opening() const { return opening_; }
  bool established() const { return established_; }
  bool half_open() const { return m_state == SYN_SENT || m_state == SYN_RCVD; }
  bool in_time_wait() const { return m_state == TIME_WAIT; }
  /// Our FIN is acknowledged or under way and the peer's has come: what remains needs no owner.
  bool finished() const;
  /// Why the connection failed; no error while it lives and after an orderly end.
  std::error_code error() const { return error_; }
  bool released() const { return released_; }

  /// How many bytes have been read; 0 when there are none (yet).
  std::size_t take(std::span<std::uint8_t> into);
  bool at_end() const;
  /// How many bytes the send buffer has taken.
  std::size_t put(io::BytesView bytes);
  void finish_writing();
  void abort();
  /// Ends without a packet: the host is going away, the 4-tuple is taken over, or TIME_WAIT is over. Its user, if
  /// the connection had not come to its end, finds it aborted.
  void vanish();
  /// A SYN that may reuse the 4-tuple of this connection in TIME_WAIT (RFC 9293 §3.10.7.4, RFC 6191).
  bool gives_way_to(const ns3::TcpHeader& syn) const;

 protected:
  void SendEmptyPacket(std::uint8_t flags) override;
  std::uint32_t SendDataPacket(ns3::SequenceNumber32 sequence, std::uint32_t max_bytes,
                               bool with_ack) override;
  std::uint32_t AvailableWindow() const override;
  void ReTxTimeout() override;
  void PersistTimeout() override;

 private:
  using Sequence = ns3::SequenceNumber32;
  struct Segment;

  static ns3::Ptr<TcpSocket> make_prototype();
  void set_linux_parameters();
  void in_syn_sent(Segment& segment);
  void in_syn_received(Segment& segment);
  void in_connection(Segment& segment);
  void simultaneous_syn_ack(Segment& segment);
  void repeated_syn(const Segment& segment);
  void reset_by_peer(const Segment& segment, std::errc why);
  void pass_on(Segment& segment);
  void process(Segment& segment);
  void settle();
  void send_fin_when_acknowledged();
  void back_off_fin();
  void linger();
  void release(std::error_code why);

  Sequence receive_next() const;
  Sequence send_next() const;
  std::uint32_t unacknowledged_bytes() const;
  bool in_window(Sequence sequence) const;
  void send_control(std::uint8_t flags, Sequence sequence);
  void acknowledge();
  void send_window_update(std::uint32_t window_before);

  ns3::Ptr<TcpLayer> layer_;
  TcpOwner* owner_ = nullptr;
  io::Endpoint local_;
  io::Endpoint remote_;
  std::unique_ptr<ns3::Ipv4EndPoint> v4_;
  std::unique_ptr<ns3::Ipv6EndPoint> v6_;
  Opening opening_ = Opening::active;
  Sequence initial_sequence_{0};
  bool established_ = false;
  bool finish_wanted_ = false;
  bool fin_sent_ = false;
  bool released_ = false;
  int fins_sent_ = 0;
  std::error_code error_;
  ns3::EventId time_wait_end_;
};

}  // namespace flaresim::net
