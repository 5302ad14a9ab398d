#include "sim/net/tcp_socket.h"

#include <ns3/node.h>
#include <ns3/nstime.h>
#include <ns3/packet.h>
#include <ns3/rtt-estimator.h>
#include <ns3/simulator.h>
#include <ns3/tcp-cubic.h>
#include <ns3/tcp-header.h>
#include <ns3/tcp-prr-recovery.h>
#include <ns3/tcp-rx-buffer.h>
#include <ns3/tcp-tx-buffer.h>

#include <algorithm>

#include "sim/net/ns3_address.h"
#include "sim/net/tcp_layer.h"

namespace flaresim::net {
namespace {

using ns3::TcpHeader;

constexpr std::uint8_t control_flags = TcpHeader::SYN | TcpHeader::ACK | TcpHeader::FIN | TcpHeader::RST;

/// Linux 6.1 defaults (Documentation/networking/ip-sysctl.rst), and TCP_NODELAY as libp2p implementations set
/// it.
struct LinuxTcp {
  static constexpr std::uint32_t header_bytes_v4 = 52;  // IP, TCP and timestamps
  static constexpr std::uint32_t header_bytes_v6 = 72;
  static constexpr std::uint32_t syn_sends = 7;                 // tcp_syn_retries 6
  static constexpr std::uint32_t syn_ack_sends = 6;             // tcp_synack_retries 5
  static constexpr std::uint32_t data_retries = 15;             // tcp_retries2
  static constexpr int fin_sends = 9;                           // tcp_orphan_retries 8
  static constexpr std::uint32_t initial_window_segments = 10;  // RFC 6928
  // ns-3 does not tune its buffers, so both are larger than Linux's beginnings. The receiver's is the larger
  // one: a window that limits the sender is where ns-3's loss recovery is weakest.
  static constexpr std::uint32_t send_buffer_bytes = 256 * 1024;
  static constexpr std::uint32_t receive_buffer_bytes = 1024 * 1024;
};

const auto initial_timeout = ns3::Seconds(1);            // TCP_TIMEOUT_INIT, RFC 6298 §2.1
const auto min_retransmission = ns3::MilliSeconds(200);  // TCP_RTO_MIN
const auto max_retransmission = ns3::Seconds(120);       // TCP_RTO_MAX
const auto delayed_ack = ns3::MilliSeconds(40);          // TCP_DELACK_MIN
// Linux keeps TIME_WAIT for 60 s, but lets a new connection have the 4-tuple after 1 s (tcp_tw_reuse); with
// random initial sequence numbers nothing of the old one can be mistaken for the new one's, and state that
// nobody can notice would only cost memory.
const auto time_wait = ns3::Seconds(1);

}  // namespace

struct TcpSocket::Segment {
  ns3::Ptr<ns3::Packet> packet;  // from the TCP header on
  TcpHeader header;
  const ns3::Address& from;
  const ns3::Address& to;
  std::uint8_t flags;
  std::uint32_t payload_bytes;
  bool rewritten = false;  // `header` is no longer the one in the packet

  Sequence sequence() const { return header.GetSequenceNumber(); }
  Sequence acknowledged() const { return header.GetAckNumber(); }
  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

ns3::TypeId TcpSocket::GetTypeId() {
  static const ns3::TypeId id =
      ns3::TypeId("flaresim::net::TcpSocket").SetParent<ns3::TcpSocketBase>().AddConstructor<TcpSocket>();
  return id;
}
ns3::TypeId TcpSocket::GetInstanceTypeId() const { return GetTypeId(); }

TcpSocket::TcpSocket() = default;

/// The state that ns-3 has made reports each of its changes to trace sources of the socket; a copy of it does not.
/// Nobody listens to those here, and they are 3 kB of an idle connection.
TcpSocket::TcpSocket(const TcpSocket& prototype) : ns3::TcpSocketBase(prototype) {
  const auto silent = ns3::CopyObject(m_tcb);
  silent->m_rxBuffer = m_tcb->m_rxBuffer;
  silent->m_sendEmptyPacketCallback = m_tcb->m_sendEmptyPacketCallback;
  m_tcb = silent;
}

ns3::Ptr<TcpSocket> TcpSocket::make() {
  // Never destroyed: at the program's end ns-3's simulator, which its destructor would ask, is gone.
  static const auto& prototype = *new ns3::Ptr<TcpSocket>(make_prototype());
  return ns3::CopyObject(prototype);
}

/// Only once it is made: CreateObject sets all attributes to their defaults after the constructor.
ns3::Ptr<TcpSocket> TcpSocket::make_prototype() {
  auto socket = ns3::CreateObject<TcpSocket>();
  socket->SetRtt(ns3::CreateObject<ns3::RttMeanDeviation>());
  socket->set_linux_parameters();
  socket->SetCongestionControlAlgorithm(ns3::CreateObject<ns3::TcpCubic>());
  socket->SetRecoveryAlgorithm(ns3::CreateObject<ns3::TcpPrrRecovery>());
  return socket;
}

TcpSocket::~TcpSocket() {
  m_endPoint = nullptr;  // ours, not the layer's
  m_endPoint6 = nullptr;
  time_wait_end_.Cancel();
}

void TcpSocket::open(TcpLayer& layer, const io::Endpoint& local, const io::Endpoint& remote, Opening opening,
                     std::uint32_t initial_sequence) {
  layer_ = &layer;
  local_ = local;
  remote_ = remote;
  opening_ = opening;
  SetNode(layer.GetObject<ns3::Node>());
  SetTcp(&layer);
  SetSegSize(layer.mtu_bytes(local.address) -
             (local.address.is_v4() ? LinuxTcp::header_bytes_v4 : LinuxTcp::header_bytes_v6));
  SetSynRetries(opening == Opening::active ? LinuxTcp::syn_sends : LinuxTcp::syn_ack_sends);
  if (local.address.is_v4()) {
    v4_ = std::make_unique<ns3::Ipv4EndPoint>(to_ns3(local.address.to_v4()), local.port);
    v4_->SetPeer(to_ns3(remote.address.to_v4()), remote.port);
    m_endPoint = v4_.get();
  } else {
    v6_ = std::make_unique<ns3::Ipv6EndPoint>(to_ns3(local.address.to_v6()), local.port);
    v6_->SetPeer(to_ns3(remote.address.to_v6()), remote.port);
    m_endPoint6 = v6_.get();
  }

  // Everything that ns-3 begins at zero begins here. Half of the number space is enough against guessing in a
  // simulation, and keeps the first 2 GiB clear of a comparison in ns-3's send buffer that does not wrap.
  initial_sequence_ = Sequence(initial_sequence & 0x7fffffff);
  m_tcb->m_nextTxSequence = initial_sequence_;
  m_tcb->m_highTxMark = initial_sequence_;
  m_tcb->m_lastAckedSeq = initial_sequence_;
  m_txBuffer->SetHeadSequence(initial_sequence_);
  m_highRxAckMark = initial_sequence_;
  m_recover = initial_sequence_;
  if (opening == Opening::passive) m_state = SYN_SENT;
}

void TcpSocket::set_linux_parameters() {
  SetSndBufSize(LinuxTcp::send_buffer_bytes);
  SetRcvBufSize(LinuxTcp::receive_buffer_bytes);
  SetInitialCwnd(LinuxTcp::initial_window_segments);
  SetConnTimeout(initial_timeout);
  SetDataRetries(LinuxTcp::data_retries);
  m_dataRetrCount = m_dataRetries;
  SetDelAckTimeout(delayed_ack);
  SetDelAckMaxCount(2);
  SetTcpNoDelay(true);
  SetMinRto(min_retransmission);
  SetPersistTimeout(min_retransmission);
}

void TcpSocket::send_syn() {
  m_synCount = m_synRetries;
  DoConnect();
}

void TcpSocket::receive(ns3::Ptr<ns3::Packet> packet, const TcpHeader& header, const ns3::Address& from,
                        const ns3::Address& to) {
  const ns3::Ptr<TcpSocket> alive(this);
  Segment segment{.packet = std::move(packet),
                  .header = header,
                  .from = from,
                  .to = to,
                  .flags = static_cast<std::uint8_t>(header.GetFlags() & control_flags),
                  .payload_bytes = 0};
  segment.payload_bytes = segment.packet->GetSize() - header.GetLength() * 4u;
  if (m_state == SYN_SENT) {
    in_syn_sent(segment);
  } else if (m_state == SYN_RCVD) {
    in_syn_received(segment);
  } else {
    in_connection(segment);
  }
  settle();
}

/// RFC 9293 §3.10.7.3.
void TcpSocket::in_syn_sent(Segment& segment) {
  if (segment.has(TcpHeader::ACK) && segment.acknowledged() != send_next()) {
    if (!segment.has(TcpHeader::RST)) layer_->answer_with_reset(segment.header, segment.from, segment.to);
    return;
  }
  if (segment.has(TcpHeader::RST)) {
    if (segment.has(TcpHeader::ACK)) release(std::make_error_code(std::errc::connection_refused));
    return;
  }
  if (!segment.has(TcpHeader::SYN)) return;

  // The peer's numbers begin here; ns-3 compares timestamps and windows with these from the first segment on.
  m_tcb->m_rxBuffer->SetNextRxSequence(segment.sequence());
  m_highTxAck = segment.sequence();
  m_highRxMark = segment.sequence();
  // From here on it is the SYN|ACK that has to be sent again.
  if (!segment.has(TcpHeader::ACK)) m_retxEvent.Cancel();
  segment.header.SetFlags(segment.flags & (TcpHeader::SYN | TcpHeader::ACK));
  segment.rewritten = true;
  pass_on(segment);
}

/// RFC 9293 §3.10.7.4 in SYN-RECEIVED.
void TcpSocket::in_syn_received(Segment& segment) {
  if (segment.has(TcpHeader::RST)) return reset_by_peer(segment, std::errc::connection_refused);
  if (segment.has(TcpHeader::SYN)) {
    const bool second_half = segment.has(TcpHeader::ACK) && segment.sequence() + 1 == receive_next();
    return second_half ? simultaneous_syn_ack(segment) : repeated_syn(segment);
  }
  if (!segment.has(TcpHeader::ACK)) return;
  if (segment.payload_bytes == 0 ? segment.sequence() != receive_next() : !in_window(segment.sequence())) {
    return acknowledge();
  }
  if (segment.acknowledged() != send_next()) {
    return layer_->answer_with_reset(segment.header, segment.from, segment.to);
  }
  process(segment);
}

/// Both sides have sent a SYN and then, to the other's, a SYN|ACK (RFC 9293 figure 8). Its SYN has been
/// counted already, so what is left is an ACK; the window in it is not scaled, as ns-3 takes for granted in
/// an ACK.
void TcpSocket::simultaneous_syn_ack(Segment& segment) {
  if (segment.acknowledged() != send_next()) {
    return layer_->answer_with_reset(segment.header, segment.from, segment.to);
  }
  segment.header.SetFlags(TcpHeader::ACK);
  segment.header.SetSequenceNumber(segment.sequence() + 1);
  segment.header.SetWindowSize(static_cast<std::uint16_t>(segment.header.GetWindowSize() >> m_sndWindShift));
  segment.rewritten = true;
  pass_on(segment);
  if (m_state == ESTABLISHED) acknowledge();  // the peer may have lost our SYN|ACK
}

/// A SYN in SYN-RECEIVED. The peer's own once more: it has lost our SYN|ACK. Another one in the window: a new
/// connection attempt, for which a passive opener starts over (RFC 9293 §3.10.7.4, fourth) and an active one
/// asks (RFC 5961 §4.2). Anything else is answered with what we expect.
void TcpSocket::repeated_syn(const Segment& segment) {
  const bool passive = opening_ == Opening::passive;
  if (passive && segment.flags == TcpHeader::SYN && segment.sequence() + 1 == receive_next()) {
    const auto sends_left = m_synCount;
    m_synCount = std::max(sends_left, 1u);
    SendEmptyPacket(TcpHeader::SYN | TcpHeader::ACK);
    m_synCount = sends_left;
    return;
  }
  if (passive && in_window(segment.sequence())) return release({});
  acknowledge();
}

/// RFC 9293 §3.10.7.4 from ESTABLISHED on.
void TcpSocket::in_connection(Segment& segment) {
  if (segment.has(TcpHeader::RST)) return reset_by_peer(segment, std::errc::connection_reset);
  if (segment.has(TcpHeader::SYN)) return acknowledge();  // challenge, RFC 5961 §4; or our ACK was lost
  if (!segment.has(TcpHeader::ACK)) return;
  if (m_state == TIME_WAIT) {
    if (segment.has(TcpHeader::FIN)) {
      acknowledge();
      linger();
    }
    return;
  }
  if (segment.acknowledged() > send_next()) return acknowledge();
  const bool only_fin_is_left = m_state == LAST_ACK || m_state == CLOSING;
  if (only_fin_is_left && segment.acknowledged() != send_next()) {
    if (segment.has(TcpHeader::FIN)) acknowledge();
    return;
  }
  process(segment);
}

/// RFC 5961 §3.2: at the expected number it counts, elsewhere in the window it is questioned.
void TcpSocket::reset_by_peer(const Segment& segment, std::errc why) {
  if (segment.sequence() == receive_next()) {
    const bool nobody_waits = m_state == TIME_WAIT || m_state == LAST_ACK;
    release(nobody_waits ? std::error_code{} : std::make_error_code(why));
  } else if (in_window(segment.sequence())) {
    acknowledge();
  }
}

/// Hands a segment to ns-3; one with a FIN in two parts, because ns-3 overlooks the acknowledgement in the
/// one state and the payload in the other.
void TcpSocket::process(Segment& segment) {
  if (!IsValidTcpSegment(segment.sequence(), segment.header.GetLength() * 4u, segment.payload_bytes)) return;
  if (!segment.has(TcpHeader::FIN)) return pass_on(segment);

  TcpHeader fin = segment.header;
  fin.SetSequenceNumber(segment.sequence() + segment.payload_bytes);
  segment.header.SetFlags(TcpHeader::ACK);
  segment.rewritten = true;
  pass_on(segment);
  if (m_endPoint == nullptr && m_endPoint6 == nullptr) return;
  auto& received = *m_tcb->m_rxBuffer;
  if (received.Finished()) return acknowledge();  // a FIN that we have had already

  fin.SetFlags(TcpHeader::FIN | TcpHeader::ACK);
  auto bare = ns3::Create<ns3::Packet>();
  bare->AddHeader(fin);
  TcpSocketBase::DoForwardUp(bare, segment.from, segment.to);
  if (!received.Finished()) acknowledge();  // bytes before the FIN are missing
}

void TcpSocket::pass_on(Segment& segment) {
  if (segment.rewritten) {
    TcpHeader original;
    segment.packet->RemoveHeader(original);
    segment.packet->AddHeader(segment.header);
  }
  TcpSocketBase::DoForwardUp(segment.packet, segment.from, segment.to);
}

/// What has changed in the state machine below, brought to those above.
void TcpSocket::settle() {
  if (released_) return;
  if (m_endPoint == nullptr && m_endPoint6 == nullptr) return vanish();
  if (!established_ && !half_open() && m_state != CLOSED) {
    established_ = true;
    layer_->established(*this);
    if (released_) return;
  }
  send_fin_when_acknowledged();
  if (m_state == TIME_WAIT && !time_wait_end_.IsRunning()) linger();
  // ns-3 stops the retransmission timer while the window is closed, and does not start it again.
  if (unacknowledged_bytes() > 0 && !m_retxEvent.IsRunning() && !m_persistEvent.IsRunning()) {
    m_retxEvent = ns3::Simulator::Schedule(m_rto, &TcpSocket::ReTxTimeout, this);
  }
  if (owner_ == nullptr) return;
  auto& received = *m_tcb->m_rxBuffer;
  if (received.Available() > 0 || received.Finished()) owner_->incoming();
  owner_->outgoing();
}

void TcpSocket::send_fin_when_acknowledged() {
  const bool may = m_state == ESTABLISHED || m_state == CLOSE_WAIT;
  if (!finish_wanted_ || fin_sent_ || !may || m_txBuffer->Size() > 0) return;
  ShutdownSend();
  fin_sent_ = true;
}

void TcpSocket::linger() {
  m_timewaitEvent.Cancel();
  time_wait_end_.Cancel();
  time_wait_end_ = ns3::Simulator::Schedule(time_wait, &TcpSocket::vanish, this);
}

void TcpSocket::vanish() {
  release(finished() ? std::error_code{} : std::make_error_code(std::errc::connection_aborted));
}

void TcpSocket::release(std::error_code why) {
  if (released_) return;
  const ns3::Ptr<TcpSocket> alive(this);
  released_ = true;
  error_ = why;
  CancelAllTimers();
  time_wait_end_.Cancel();
  m_state = CLOSED;
  m_endPoint = nullptr;
  m_endPoint6 = nullptr;
  layer_->forget(*this);
  if (owner_ == nullptr) return;
  owner_->incoming();
  owner_->outgoing();
}

void TcpSocket::unreachable(std::error_code why, std::uint32_t sequence) {
  // RFC 5927 §4.1: only about a segment that is in flight. An established connection rides it out.
  if (m_state == SYN_SENT && sequence == initial_sequence_.GetValue()) release(why);
}

bool TcpSocket::finished() const { return fin_sent_ && m_tcb->m_rxBuffer->Finished(); }

std::size_t TcpSocket::take(std::span<std::uint8_t> into) {
  const std::uint32_t window_before = m_advWnd.Get();
  const auto bytes = m_tcb->m_rxBuffer->Extract(static_cast<std::uint32_t>(into.size()));
  if (!bytes || bytes->GetSize() == 0) return 0;
  const auto taken = bytes->CopyData(into.data(), static_cast<std::uint32_t>(into.size()));
  if (!released_) send_window_update(window_before);
  return taken;
}

/// As Linux does (tcp_cleanup_rbuf): once a window that had shrunk to half can be announced as twice as
/// large.
void TcpSocket::send_window_update(std::uint32_t window_before) {
  const auto& received = *m_tcb->m_rxBuffer;
  if (m_state != ESTABLISHED && m_state != FIN_WAIT_1 && m_state != FIN_WAIT_2) return;
  if (window_before * 2 > received.MaxBufferSize()) return;
  const auto window = static_cast<std::uint32_t>(received.MaxRxSequence() - received.NextRxSequence());
  if (window >= 2 * window_before && window >= 2 * GetSegSize()) acknowledge();
}

bool TcpSocket::at_end() const { return m_tcb->m_rxBuffer->Finished() && m_tcb->m_rxBuffer->Size() == 0; }

std::size_t TcpSocket::put(io::BytesView bytes) {
  if (!established_ || released_ || finish_wanted_) return 0;
  const auto room = std::min<std::size_t>(bytes.size(), m_txBuffer->Available());
  if (room == 0) return 0;
  const auto sent = Send(ns3::Create<ns3::Packet>(bytes.data(), static_cast<std::uint32_t>(room)), 0);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void TcpSocket::finish_writing() {
  finish_wanted_ = true;
  if (!released_) send_fin_when_acknowledged();
}

void TcpSocket::abort() {
  if (released_) return;
  const bool known_to_peer = m_state != SYN_SENT && m_state != TIME_WAIT && m_state != CLOSED;
  if (known_to_peer) send_control(TcpHeader::RST | TcpHeader::ACK, send_next());
  release({});
}

bool TcpSocket::gives_way_to(const TcpHeader& syn) const {
  return m_state == TIME_WAIT && (syn.GetFlags() & control_flags) == TcpHeader::SYN &&
         syn.GetSequenceNumber() > receive_next();
}

void TcpSocket::SendEmptyPacket(std::uint8_t flags) {
  if ((flags & TcpHeader::FIN) != 0 && fins_sent_ == LinuxTcp::fin_sends) {
    return release(std::make_error_code(std::errc::timed_out));
  }
  TcpSocketBase::SendEmptyPacket(flags);
  if (released_) return;
  const bool gave_up = (flags & TcpHeader::SYN) != 0 && m_endPoint == nullptr && m_endPoint6 == nullptr;
  if (gave_up) return release(std::make_error_code(std::errc::timed_out));
  if ((flags & TcpHeader::FIN) != 0) back_off_fin();
}

/// ns-3 repeats a FIN for ever, at a constant interval.
void TcpSocket::back_off_fin() {
  m_retxEvent.Cancel();
  ++fins_sent_;
  const auto interval = std::min(m_rto.Get() * (std::int64_t{1} << (fins_sent_ - 1)), max_retransmission);
  m_retxEvent = ns3::Simulator::Schedule(interval, &TcpSocket::SendEmptyPacket, this,
                                         static_cast<std::uint8_t>(TcpHeader::FIN | TcpHeader::ACK));
}

std::uint32_t TcpSocket::SendDataPacket(Sequence sequence, std::uint32_t max_bytes, bool with_ack) {
  // ns-3 asks for empty segments when the peer's window is just full, and then dereferences null.
  if (max_bytes == 0 || m_txBuffer->SizeFromSequence(sequence) == 0) return 0;
  // The bound up to which timestamps are echoed (RFC 7323 §4.3) also moves with acknowledgements on data.
  if (with_ack) m_highTxAck = std::max(m_highTxAck, receive_next());
  return TcpSocketBase::SendDataPacket(sequence, max_bytes, with_ack);
}

std::uint32_t TcpSocket::AvailableWindow() const {
  const auto available = TcpSocketBase::AvailableWindow();
  if (available == 0 || unacknowledged_bytes() < m_rWnd.Get()) return available;
  Sequence next, end;
  const bool recovering = m_sackEnabled && m_tcb->m_congState == ns3::TcpSocketState::CA_RECOVERY;
  const bool nothing_fits = m_txBuffer->NextSeg(&next, &end, recovering) && next == end;
  return nothing_fits ? 0 : available;
}

void TcpSocket::ReTxTimeout() {
  TcpSocketBase::ReTxTimeout();
  const bool gave_up = !released_ && m_endPoint == nullptr && m_endPoint6 == nullptr;
  if (gave_up) release(std::make_error_code(std::errc::timed_out));
}

void TcpSocket::PersistTimeout() {
  if (m_txBuffer->SizeFromSequence(m_tcb->m_nextTxSequence) > 0) return TcpSocketBase::PersistTimeout();
  // Nothing to probe with, which ns-3 does not expect. What is in flight may have been lost: mark it, so that
  // it is sent again once the window opens.
  m_persistTimeout = std::min(m_persistTimeout * 2, max_retransmission);
  m_persistEvent = ns3::Simulator::Schedule(m_persistTimeout, &TcpSocket::PersistTimeout, this);
  if (unacknowledged_bytes() > 0) ReTxTimeout();
}

TcpSocket::Sequence TcpSocket::receive_next() const { return m_tcb->m_rxBuffer->NextRxSequence(); }

TcpSocket::Sequence TcpSocket::send_next() const {
  if (half_open()) return initial_sequence_ + 1;
  return m_tcb->m_highTxMark.Get() + (fin_sent_ ? 1 : 0);
}

/// Sent, however often, and not acknowledged.
std::uint32_t TcpSocket::unacknowledged_bytes() const {
  return static_cast<std::uint32_t>(std::max(0, m_tcb->m_highTxMark.Get() - m_txBuffer->HeadSequence()));
}

bool TcpSocket::in_window(Sequence sequence) const {
  return sequence >= receive_next() && sequence < m_tcb->m_rxBuffer->MaxRxSequence();
}

void TcpSocket::send_control(std::uint8_t flags, Sequence sequence) {
  TcpHeader header;
  header.SetFlags(flags);
  header.SetSequenceNumber(sequence);
  header.SetAckNumber(receive_next());
  header.SetSourcePort(local_.port);
  header.SetDestinationPort(remote_.port);
  header.SetWindowSize(AdvertisedWindowSize());
  AddOptions(header);
  m_highTxAck = std::max(m_highTxAck, receive_next());
  m_tcp->SendPacket(ns3::Create<ns3::Packet>(), header, to_ns3(local_), to_ns3(remote_));
}

void TcpSocket::acknowledge() { send_control(TcpHeader::ACK, send_next()); }

}  // namespace flaresim::net
