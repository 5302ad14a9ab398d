"""What `flaresim run --pcap` writes, read by tshark, which knows nothing of us."""

import dataclasses
import os
import pathlib
import subprocess

import pytest

PROGRAM = os.environ["FLARESIM_PROGRAM"]
PAIR = str(pathlib.Path(os.environ["FLARESIM_SOURCE"]) / "scenarios" / "pair.yaml")

POINTS = ["a-host", "a-nat-inside", "a-nat-outside", "b-host", "b-nat-inside", "b-nat-outside", "relay"]
# Outside addresses of the two peers; over IPv6 they are the hosts' own.
OUTSIDE = {4: ("84.16.40.7", "84.16.41.7"), 6: ("2a02:8071:40::10", "2a02:8071:41::10")}
VERIFY = [word for protocol in ("ip", "tcp", "udp") for word in ("-o", f"{protocol}.check_checksum:TRUE")]
CHECKSUMS = [f"{protocol}.checksum.status" for protocol in ("ip", "tcp", "udp", "icmp", "icmpv6")]
BAD, GOOD = "0", "1"  # of a checksum's status


def capture(folder, version, nat_a="port-restricted", nat_b="port-restricted"):
    """Runs one trial; the files by capture point."""
    out = folder / "out"
    subprocess.run(
        [PROGRAM, "run", PAIR, "--quiet", "--pcap", "--out", str(out), "--set", f"ip=[{version}]",
         "--set", f"peers.a.nat={nat_a}", "--set", f"peers.b.nat={nat_b}"],
        check=True, capture_output=True, timeout=60,
    )
    files = {file.stem.removeprefix("0-"): file for file in (out / "captures").iterdir()}
    assert sorted(files) == POINTS
    return files


def tshark(file, *fields, only="frame"):
    """One tuple of these fields a packet; a field that a packet has twice is joined by commas."""
    command = ["tshark", "-r", str(file), *VERIFY, "-Y", only, "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


@dataclasses.dataclass(frozen=True)
class Segment:
    at: float
    source: str
    destination: str
    ports: tuple
    flags: str  # "S" or "SA"
    sequence: int
    acknowledged: int


def openings(file, version):
    """All SYN and SYN|ACK segments between the two peers, in order."""
    a, b = OUTSIDE[version]
    ip = "ip" if version == 4 else "ipv6"
    fields = ["frame.time_epoch", f"{ip}.src", f"{ip}.dst", "tcp.srcport", "tcp.dstport", "tcp.flags.ack",
              "tcp.seq_raw", "tcp.ack_raw"]
    between = f"tcp.flags.syn == 1 && {ip}.addr == {a} && {ip}.addr == {b}"
    return [
        Segment(float(at), source, to, (from_port, to_port), "SA" if ack == "1" else "S", int(sequence), int(number))
        for at, source, to, from_port, to_port, ack, sequence, number in tshark(file, *fields, only=between)
    ]


def last(segments, source, flags):
    return [segment for segment in segments if segment.source == source and segment.flags == flags][-1]


@pytest.mark.parametrize(
    "version, nat_a, nat_b, also",
    [
        (4, "port-restricted", "port-restricted", "tcp"),
        (6, "port-restricted", "port-restricted", "tcp"),
        # Segments and messages that the NATs themselves write.
        (4, "linux", "symmetric", "tcp.flags.reset == 1"),
        (4, "EIM/APDF,tcp_unsolicited=icmp", "symmetric", "icmp.type == 3"),
        (6, "EIM/APDF,tcp_unsolicited=icmp", "EIM/APDF,tcp_unsolicited=icmp", "icmpv6.type == 1"),
    ],
)
def test_every_packet_is_well_formed_and_has_good_checksums(tmp_path, version, nat_a, nat_b, also):
    files = capture(tmp_path, version, nat_a, nat_b)
    for point, file in files.items():
        packets = tshark(file, "_ws.malformed", "_ws.unreassembled", *CHECKSUMS)
        assert len(packets) > 20, point
        for number, (malformed, unreassembled, *checksums) in enumerate(packets, start=1):
            place = f"{point}, frame {number}"
            assert not malformed and not unreassembled, place
            # What an ICMP error quotes comes behind what carries it.
            of_ip, *of_transports = [status.split(",") for status in checksums]
            assert of_ip[0] == (GOOD if version == 4 else ""), place
            assert [status[0] for status in of_transports].count(GOOD) >= 1, place
            assert not any(BAD in statuses for statuses in [of_ip, *of_transports]), place
    assert tshark(files["a-nat-outside"], "frame.number", only=also)


def test_tshark_would_tell_of_a_bad_checksum(tmp_path):
    file = capture(tmp_path, 4)["a-nat-outside"]
    bytes_ = bytearray(file.read_bytes())
    bytes_[-1] ^= 1  # of the last packet's payload
    file.write_bytes(bytes_)
    assert BAD in tshark(file, "tcp.checksum.status")[-1]


@pytest.mark.parametrize("version", [4, 6])
def test_both_syns_of_the_punch_leave_at_once_and_cross_outside_of_the_nats(tmp_path, version):
    files = capture(tmp_path, version)
    a, b = OUTSIDE[version]
    at_a, at_b = (openings(files[point], version) for point in ("a-nat-outside", "b-nat-outside"))
    leaves_a, arrives_a = last(at_a, a, "S"), last(at_b, a, "S")
    leaves_b, arrives_b = last(at_b, b, "S"), last(at_a, b, "S")
    assert leaves_a.ports == leaves_b.ports[::-1]
    assert abs(leaves_a.at - leaves_b.at) < 1e-6
    one_way = arrives_a.at - leaves_a.at
    assert one_way > 0.001
    assert arrives_b.at - leaves_b.at == pytest.approx(one_way, abs=1e-6)


@pytest.mark.parametrize("version", [4, 6])
def test_the_connection_comes_about_by_a_simultaneous_open(tmp_path, version):
    """RFC 9293, figure 8: each side answers the other's SYN with a SYN|ACK that repeats its own SYN."""
    files = capture(tmp_path, version)
    a, b = OUTSIDE[version]
    for point in ("a-nat-outside", "b-nat-outside"):
        seen = openings(files[point], version)
        syns, answers = ({side: last(seen, side, flags) for side in (a, b)} for flags in ("S", "SA"))
        for side, other in ((a, b), (b, a)):
            assert answers[side].sequence == syns[side].sequence
            assert answers[side].acknowledged == (syns[other].sequence + 1) % 2**32
            assert answers[side].ports == syns[side].ports
        assert max(syn.at for syn in syns.values()) <= min(answer.at for answer in answers.values())
