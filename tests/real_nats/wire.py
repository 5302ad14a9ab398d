"""What a gateway was seen to do on its outside, read from captures in pcap format."""

import ipaddress
import struct
from dataclasses import dataclass

TCP, UDP = 6, 17
RST = 0x04
HEADER_BYTES, RECORD_BYTES = 24, 16


def packets(capture):
    data = capture.read_bytes()
    offset = HEADER_BYTES
    while offset < len(data):
        _, _, length, _ = struct.unpack_from("<IIII", data, offset)
        yield data[offset + RECORD_BYTES:][:length]
        offset += RECORD_BYTES + length


@dataclass(frozen=True)
class Conduct:
    """Of a gateway, towards the other one."""

    other_ports: bool  # it used another outside port than its peer had inside
    refuses: bool  # it, or the peer behind it, answered a SYN with a RST


def is_refusal(header):
    """A RST without an acknowledgment to take its number from has number 0 (RFC 9293 §3.10.7.1)."""
    return header[13] & RST and header[4:8] == bytes(4)


def conduct(capture, own, other, port):
    ports, refuses = set(), False
    for packet in packets(capture):
        protocol = packet[9]
        if packet[12:20] != ipaddress.ip_address(own).packed + ipaddress.ip_address(other).packed:
            continue
        if protocol not in (TCP, UDP):
            continue
        header = packet[4 * (packet[0] & 0x0F):]
        if protocol == TCP and is_refusal(header):
            refuses = True
        else:
            ports.add(int.from_bytes(header[:2], "big"))
    return Conduct(ports != {port}, refuses)
