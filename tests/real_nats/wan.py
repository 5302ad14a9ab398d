"""The Internet between some namespaces: a program that carries packets from one to the other, with a delay.

    wan.py '{"members": {"a": {"namespace": "…", "addresses": ["84.16.40.7"], "capture": "a.pcap"}, …},
             "delay_ms": {"a": {"b": 48.5, …}, …}}'

Every member gets a TUN device `wan` in its namespace: packets without frames, so that nothing waits for ARP, and whole
ones with valid checksums, as the kernel must complete them for a device that can do nothing for it. Prints
{"event": "listening"} when the devices are there. They vanish with the program, which ends when its input does.
"""

import ctypes
import fcntl
import heapq
import ipaddress
import itertools
import json
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
LINKTYPE_RAW = 101
MOST_BYTES = 65535


def enter(namespace):
    file = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(file, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns {namespace}")
    os.close(file)


class Member:
    """One end of the wide area network."""

    def __init__(self, namespace, addresses, capture):
        self.addresses = {ipaddress.ip_address(address).packed for address in addresses}
        enter(namespace)
        self.device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.device, TUNSETIFF, struct.pack("16sH22x", b"wan", IFF_TUN | IFF_NO_PI))
        self._capture = open(capture, "wb")
        self._capture.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, MOST_BYTES, LINKTYPE_RAW))

    def record(self, packet):
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        self._capture.write(struct.pack("=IIII", seconds, nanoseconds, len(packet), len(packet)) + packet)

    def send(self, packet):
        self.record(packet)
        try:
            os.write(self.device, packet)
        except OSError:  # not up yet, or no longer: what is sent there is lost
            pass

    def receive(self):
        packet = os.read(self.device, MOST_BYTES)
        self.record(packet)
        return packet


class Wan:
    def __init__(self, members, delay_ms):
        self._members = {name: Member(**member) for name, member in members.items()}
        self._delay_s = {pair: ms / 1000 for pair, ms in self._pairs(delay_ms)}
        self._under_way = []
        self._order = itertools.count()

    @staticmethod
    def _pairs(delay_ms):
        for source, row in delay_ms.items():
            for destination, ms in row.items():
                yield (source, destination), ms

    def run(self):
        """Until the standard input ends."""
        sources = {member.device: name for name, member in self._members.items()}
        while True:
            ready, _, _ = select.select([*sources, sys.stdin], [], [], self._deliver())
            if sys.stdin in ready:
                return
            for device in ready:
                self._accept(sources[device])

    def _accept(self, source):
        packet = self._members[source].receive()
        if packet[0] >> 4 != 4:  # IPv6 neighbours talk whether or not one wants them to
            return
        for name, member in self._members.items():
            if packet[16:20] in member.addresses and name != source:
                due = time.monotonic() + self._delay_s[source, name]
                heapq.heappush(self._under_way, (due, next(self._order), name, packet))

    def _deliver(self):
        """What is due; returns for how many seconds nothing is."""
        while self._under_way:
            due, _, destination, packet = self._under_way[0]
            if (rest := due - time.monotonic()) > 0:
                return rest
            heapq.heappop(self._under_way)
            self._members[destination].send(packet)
        return None


if __name__ == "__main__":
    wan = Wan(**json.loads(sys.argv[1]))
    print(json.dumps({"event": "listening"}), flush=True)
    wan.run()
