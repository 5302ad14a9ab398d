"""What `flaresim run --pcap --keylog --qlog` writes, read by tshark, which knows nothing of us."""

import dataclasses
import json
import os
import pathlib
import resource
import subprocess

import pytest

PROGRAM = os.environ["FLARESIM_PROGRAM"]
PAIR = str(pathlib.Path(os.environ["FLARESIM_SOURCE"]) / "scenarios" / "pair.yaml")

POINTS = ["a-host", "b-host", "nat-a-inside", "nat-a-outside", "nat-b-inside", "nat-b-outside", "relay"]
# Outside addresses of the two peers; over IPv6 they are the hosts' own.
OUTSIDE = {4: ("84.16.40.7", "84.16.41.7"), 6: ("2a02:8071:40::10", "2a02:8071:41::10")}
VERIFY = [word for protocol in ("ip", "tcp", "udp") for word in ("-o", f"{protocol}.check_checksum:TRUE")]
CHECKSUMS = [f"{protocol}.checksum.status" for protocol in ("ip", "tcp", "udp", "icmp", "icmpv6")]
BAD, GOOD = "0", "1"  # of a checksum's status
ERROR = 0x800000  # the highest severity of tshark's expert information
# tshark knows no yamux, and takes it for one of these protocols.
NO_GUESSES = ["--disable-protocol", "5gli", "--disable-protocol", "rdpmt"]
HELLO, CERTIFICATE, VERIFY_CERTIFICATE, FINISHED = "1", "11", "15", "20"  # RFC 8446, section 4
# What B punches with over QUIC: 64 random bytes that tshark takes for QUIC, since they come between its ports.
NOISE = "udp.length == 72"


def capture(folder, version, nat_a="port-restricted", nat_b="port-restricted", *arguments):
    """Runs one trial; the files by capture point."""
    out = folder / "out"
    subprocess.run(
        [PROGRAM, "run", PAIR, "--quiet", "--pcap", "--out", str(out), "--set", f"ip=[{version}]",
         "--set", f"peers.a.nat={nat_a}", "--set", f"peers.b.nat={nat_b}", *arguments],
        check=True, capture_output=True, timeout=60,
    )
    files = {file.stem.removeprefix("0-"): file for file in (out / "captures").glob("*.pcap")}
    assert sorted(files) == POINTS
    return files


def tshark(file, *fields, only="frame", options=()):
    """One tuple of these fields a packet; a field that a packet has twice is joined by commas."""
    command = ["tshark", "-r", str(file), *VERIFY, *options, "-Y", only, "-T", "fields"]
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
    assert_well_formed(files, version)
    assert tshark(files["nat-a-outside"], "frame.number", only=also)


def assert_well_formed(files, version, noise="frame.number == 0", options=()):
    """Each packet, but for noise, and the checksums of them all, which tshark has verified."""
    for point, file in files.items():
        meaningless = {number for number, in tshark(file, "frame.number", only=noise, options=options)}
        packets = tshark(file, "_ws.malformed", "_ws.unreassembled", "_ws.expert.severity", *CHECKSUMS, options=options)
        assert len(packets) - len(meaningless) > 20, point
        for number, (malformed, unreassembled, severities, *checksums) in enumerate(packets, start=1):
            place = f"{point}, frame {number}"
            if str(number) not in meaningless:
                assert not malformed and not unreassembled, place
                assert all(int(severity) < ERROR for severity in severities.split(",") if severity), place
            # What an ICMP error quotes comes behind what carries it.
            of_ip, *of_transports = [status.split(",") for status in checksums]
            assert of_ip[0] == (GOOD if version == 4 else ""), place
            assert [status[0] for status in of_transports].count(GOOD) >= 1, place
            assert not any(BAD in statuses for statuses in [of_ip, *of_transports]), place


@pytest.mark.parametrize("transport, protocol", [("tcp", "tcp"), ("quic", "udp")])
def test_tshark_would_tell_of_a_bad_checksum(tmp_path, transport, protocol):
    file = capture(tmp_path, 4, "port-restricted", "port-restricted", "--set", f"transports={transport}")["nat-a-outside"]
    bytes_ = bytearray(file.read_bytes())
    bytes_[-1] ^= 1  # of the last packet's payload
    file.write_bytes(bytes_)
    assert BAD in tshark(file, f"{protocol}.checksum.status")[-1]


@pytest.mark.parametrize("version", [4, 6])
def test_both_syns_of_the_punch_leave_at_once_and_cross_outside_of_the_nats(tmp_path, version):
    files = capture(tmp_path, version)
    a, b = OUTSIDE[version]
    at_a, at_b = (openings(files[point], version) for point in ("nat-a-outside", "nat-b-outside"))
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
    for point in ("nat-a-outside", "nat-b-outside"):
        seen = openings(files[point], version)
        syns, answers = ({side: last(seen, side, flags) for side in (a, b)} for flags in ("S", "SA"))
        for side, other in ((a, b), (b, a)):
            assert answers[side].sequence == syns[side].sequence
            assert answers[side].acknowledged == (syns[other].sequence + 1) % 2**32
            assert answers[side].ports == syns[side].ports
        assert max(syn.at for syn in syns.values()) <= min(answer.at for answer in answers.values())


# Decryption.


def decryptable(folder, version, transport):
    """A trial over TLS; its files by capture point, and the options that let tshark decrypt them."""
    files = capture(folder, version, "port-restricted", "port-restricted", "--keylog", "--qlog",
                    "--set", f"transports={transport}", "--set", "protocol.security=tls")
    return files, [*NO_GUESSES, "-o", f"tls.keylog_file:{files['relay'].with_name('0.keys')}"]


def line(protocol):
    """What multistream-select sends to propose or accept it, in hexadecimal."""
    text = protocol.encode() + b"\n"
    return (bytes([len(text)]) + text).hex()


def between(one, other, version):
    ip = "ip" if version == 4 else "ipv6"
    return f"{ip}.src == {one} && {ip}.dst == {other}"


@pytest.mark.parametrize("version", [4, 6])
def test_tshark_decrypts_tls_over_tcp_with_the_key_log(tmp_path, version):
    files, options = decryptable(tmp_path, version, "tcp")
    assert_well_formed(files, version, options=options)
    for file in files.values():
        handshakes = [
            kind for kinds, in tshark(file, "tls.handshake.type", only="tls.handshake", options=options)
            for kind in kinds.split(",")
        ]
        connections = handshakes.count(HELLO)
        assert connections >= 2
        # Encrypted, and of both ends.
        for kind in (CERTIFICATE, VERIFY_CERTIFICATE, FINISHED):
            assert handshakes.count(kind) == 2 * connections
    a, b = OUTSIDE[version]
    outside = files["nat-a-outside"]
    for way in (between(a, b, version), between(b, a, version)):
        plain = "".join(data for data, in tshark(outside, "data.data", only=f"tls && data && {way}", options=options))
        assert line("/multistream/1.0.0") in plain
        assert line("/ipfs/ping/1.0.0") in plain
    assert not tshark(outside, "frame.number", only="tls && data", options=NO_GUESSES)


@pytest.mark.parametrize("version", [4, 6])
def test_tshark_decrypts_quic_with_the_key_log(tmp_path, version):
    files, options = decryptable(tmp_path, version, "quic")
    assert_well_formed(files, version, NOISE, options)
    for point, file in files.items():
        packets = tshark(file, "frame.number", "quic.frame", only=f"quic && !({NOISE})", options=options)
        assert len(packets) > 20
        assert all(frames for _, frames in packets), point
    a, b = OUTSIDE[version]
    outside = files["nat-a-outside"]
    for way in (between(a, b, version), between(b, a, version)):
        plain = "".join(data for data, in tshark(outside, "quic.stream_data", only=f"quic.stream_data && {way}", options=options))
        assert line("/multistream/1.0.0") in plain.replace(",", "")
        assert line("/ipfs/ping/1.0.0") in plain.replace(",", "")
    assert not tshark(outside, "frame.number", only="quic.stream_data", options=NO_GUESSES)


def test_only_the_punching_side_sends_noise(tmp_path):
    files, _ = decryptable(tmp_path, 4, "quic")
    a, b = OUTSIDE[4]
    assert set(tshark(files["nat-b-outside"], "ip.src", "ip.dst", only=NOISE)) == {(b, a)}
    assert not tshark(files["relay"], "frame.number", only=NOISE)


def test_noise_leaves_no_keys(tmp_path):
    keys = capture(tmp_path, 4, "port-restricted", "port-restricted", "--keylog")["relay"].with_name("0.keys")
    assert keys.read_text() == ""


def test_each_end_of_a_quic_connection_has_a_qlog_that_fits_the_capture(tmp_path):
    files, _ = decryptable(tmp_path, 4, "quic")
    logs = sorted(files["relay"].parent.glob("*.sqlog"))
    ends = sorted(tuple(log.stem.split("-")[1:]) for log in logs)  # of (node, connection and side)
    assert [node for node, _ in ends] == ["A", "A", "B", "B", "R1", "R1"]
    connections = {end.split("_")[0] for _, end in ends}
    assert sorted(end for _, end in ends) == sorted(f"{id_}_{side}" for id_ in connections for side in ("client", "server"))

    seen = [1000 * float(at) for at, in tshark(files["a-host"], "frame.time_epoch", only="ip.src == 192.168.1.10 && udp")]
    for log in logs:
        head, *events = [json.loads(record) for record in log.read_text().split("\x1e")[1:]]
        assert head["trace"]["vantage_point"]["type"] == log.stem.split("_")[1]
        begun = head["trace"]["common_fields"]["reference_time"]
        sent = [begun + event["time"] for event in events if event["name"] == "transport:packet_sent"]
        assert len(sent) > 5
        if log.stem.split("-")[1] != "A":
            continue
        # Both of its numbers are whole milliseconds, rounded down.
        assert all(any(0 <= at - time < 2 for at in seen) for time in sent), log.name


@pytest.mark.parametrize("files, last", [(10, "pcap"), (16, "sqlog")])  # what there are no more files for
def test_a_capture_that_cannot_be_written_is_an_error_of_the_trial(tmp_path, files, last):
    done = subprocess.run(
        [PROGRAM, "run", PAIR, "--quiet", "--pcap", "--qlog", "--out", str(tmp_path / "out"), "--trials", "1", "--jobs", "1",
         "--set", "transports=quic"],
        capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
    )
    assert done.returncode == 3
    first_line = done.stderr.splitlines()[0]
    assert f"cannot write {tmp_path}/out/captures/0-" in first_line and first_line.endswith("." + last)
