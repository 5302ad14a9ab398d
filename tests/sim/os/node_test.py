"""`flaresim node`: separate processes that meet on the loopback interface."""

import json
import os
import queue
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

PROGRAM = os.environ["FLARESIM"]
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
QUIC_LOOPBACK = "/ip4/127.0.0.1/udp/0/quic-v1"


class Node:
    """One process. Reads what it prints; `stop` ends it by its own pid."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([PROGRAM, "node", "--json", *arguments], stdout=subprocess.PIPE, text=True)
        self.events = []
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _next(self, seconds):
        event = self._lines.get(timeout=seconds)
        if event is not None:
            self.events.append(event)
        return event

    def wait_for(self, name, seconds=20, **members):
        """The first event, past or to come, of that name and with these members."""
        def matches(event):
            return event["event"] == name and all(event.get(key) == value for key, value in members.items())

        for event in self.events:
            if matches(event):
                return event
        end = time.monotonic() + seconds
        while (event := self._next(max(0, end - time.monotonic()))) is not None:
            if matches(event):
                return event
        raise AssertionError(f"ended without {name} {members}: {self.events}")

    def wait(self, seconds=30):
        """Its exit code; `events` is complete then."""
        code = self.process.wait(seconds)
        while self._next(5) is not None:
            pass
        return code

    def all(self, name):
        return [event for event in self.events if event["event"] == name]

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@pytest.fixture
def start():
    nodes = []

    def start_node(*arguments):
        nodes.append(Node(*arguments))
        return nodes[-1]

    yield start_node
    for node in nodes:
        node.stop()


@pytest.fixture
def listener(start):
    """Starts a node that listens on loopback; gives it and its address."""
    def start_listener(*arguments):
        node = start("--listen", LOOPBACK, *arguments)
        listening = node.wait_for("listening")
        node.id = listening["peer"]
        (node.address,) = listening["addresses"]
        return node

    return start_listener


def run(*arguments):
    return subprocess.run([PROGRAM, "node", *arguments], capture_output=True, text=True, timeout=30)


def closed_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def test_two_processes_identify_and_ping(start, listener):
    server = listener()
    client = start("--listen", LOOPBACK, "--dial", server.address, "--ping", "4")
    assert client.wait() == 0

    listening = client.wait_for("listening")
    connected = client.wait_for("connected", peer=server.id)
    assert connected["direction"] == "outbound"
    assert connected["path"] == "direct"
    assert connected["security"] == "/noise"
    assert connected["muxer"] == "/yamux/1.0.0"

    identified = client.wait_for("identified", peer=server.id)
    assert identified["agent"].startswith("flaresim/")
    assert {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", "/libp2p/dcutr"} <= set(identified["protocols"])
    assert any(server.address.startswith(address) for address in identified["addresses"])
    # The dial left from the port that the client listens on, so this is where the server sees it.
    assert listening["addresses"] == [identified["observed_address"] + "/p2p/" + listening["peer"]]

    pings = client.all("ping")
    assert len(pings) == 4
    assert all(0 < ping["rtt_ms"] < 5000 for ping in pings)
    assert client.events[-2:] != [] and client.wait_for("done")["path"] == "direct"

    assert server.wait_for("connected", peer=listening["peer"])["direction"] == "inbound"
    seen = server.wait_for("identified", peer=listening["peer"])
    assert seen["observed_address"] == server.address.split("/p2p/")[0]
    server.wait_for("disconnected", peer=listening["peer"])


def test_a_third_process_relays(start, listener):
    relay = listener("--relay-service")
    target = listener("--reserve", relay.address)
    reserved = target.wait_for("reserved")
    assert reserved["relay"] == relay.id
    assert reserved["expires_unix_s"] > time.time() + 60
    assert reserved["limit"] == {"duration_s": 120, "bytes": 131072}
    (circuit,) = reserved["addresses"]
    assert circuit == f"{relay.address}/p2p-circuit/p2p/{target.id}"

    client = start("--listen", LOOPBACK, "--dial", circuit, "--ping", "2", "--punch-wait", "500ms")
    assert client.wait() == 0
    connected = client.wait_for("connected", peer=target.id)
    assert connected["path"] == "relayed"
    assert connected["limit"] == reserved["limit"]
    assert client.wait_for("identified", peer=target.id)["agent"].startswith("flaresim/")
    assert [ping["path"] for ping in client.all("ping")] == ["relayed", "relayed"]
    # Loopback addresses are not public, so neither side has an address to punch to.
    assert client.wait_for("done")["path"] == "relayed"
    assert target.wait_for("connected", path="relayed")["direction"] == "inbound"


def test_a_peer_id_is_enough_where_the_dht_knows_it(start, listener):
    server = listener("--dht", "server", "--dht-private")
    target = listener("--dht", "client", "--dht-private", "--bootstrap", server.address)
    server.wait_for("identified", peer=target.id)
    in_the_dht = "--dht", "client", "--dht-private", "--bootstrap", server.address
    client = start("--listen", LOOPBACK, *in_the_dht, "--dial", f"/p2p/{target.id}", "--ping", "1")
    assert client.wait() == 0
    assert client.wait_for("connected", peer=target.id)["address"] == target.address.split("/p2p/")[0]

    stranger = listener("--seed", "1").id
    lost = start("--listen", LOOPBACK, *in_the_dht, "--dial", f"/p2p/{stranger}")
    assert lost.wait() == 1
    assert lost.wait_for("dial_failed", peer=stranger)["failures"] == []


def test_losing_the_relay_is_told(listener):
    relay = listener("--relay-service")
    target = listener("--reserve", relay.address)
    target.wait_for("reserved")
    relay.stop()
    assert target.wait_for("reservation_lost")["relay"] == relay.id


def test_a_peer_that_is_no_relay_cannot_be_reserved_on(start, listener):
    plain = listener()
    target = start("--listen", LOOPBACK, "--reserve", plain.address)
    assert target.wait() == 1
    assert target.wait_for("failed")["error"]


def test_a_refused_dial_fails(start, listener):
    peer = listener().id
    client = start("--listen", LOOPBACK, "--dial", f"/ip4/127.0.0.1/tcp/{closed_port()}/p2p/{peer}")
    assert client.wait() == 1
    (failure,) = client.wait_for("dial_failed", peer=peer)["failures"]
    assert failure["error"] == os.strerror(111)


def test_a_peer_with_another_key_is_not_the_one_dialled(start, listener):
    server = listener()
    other = listener("--seed", "1")
    client = start("--listen", LOOPBACK, "--dial", server.address.replace(server.id, other.id))
    assert client.wait() == 1
    assert client.wait_for("dial_failed")["peer"] == other.id
    assert not client.all("connected")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_listening_node_ends_well_when_stopped(listener, how):
    assert listener().stop(how) == 0


def test_a_taken_port_fails(listener):
    taken = listener().address.split("/p2p/")[0]
    result = run("--listen", taken)
    assert result.returncode == 1
    assert os.strerror(98) in result.stdout


def test_an_identity_file_is_made_once_and_kept(listener, tmp_path):
    file = tmp_path / "identity"
    first = listener("--identity", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first.stop()
    assert listener("--identity", str(file)).id == first.id
    assert listener().id != first.id


@pytest.mark.parametrize("key_type,prefix",
                         [("ed25519", "12D3KooW"), ("secp256k1", "16Uiu2HA"), ("ecdsa", "Qm"), ("rsa", "Qm")])
def test_a_key_of_any_type_is_an_identity(start, listener, tmp_path, key_type, prefix):
    server = listener("--key-type", key_type, "--identity", str(tmp_path / "identity"))
    assert server.id.startswith(prefix)
    client = start("--listen", LOOPBACK, "--key-type", key_type, "--dial", server.address, "--ping", "1")
    assert client.wait() == 0
    assert client.wait_for("listening")["peer"].startswith(prefix)
    client.wait_for("identified", peer=server.id)
    server.stop()
    assert listener("--identity", str(tmp_path / "identity")).id == server.id


@pytest.mark.parametrize("server_accepts,client_prefers,agreed", [
    (["--security", "tls"], [], "/tls/1.0.0"),
    ([], ["--security", "tls"], "/tls/1.0.0"),
    ([], ["--security", "tls,noise"], "/tls/1.0.0"),
    (["--security", "tls,noise"], ["--security", "noise,tls"], "/noise"),
])
def test_the_dialler_prefers_among_what_both_accept(start, listener, server_accepts, client_prefers, agreed):
    server = listener(*server_accepts)
    client = start("--listen", LOOPBACK, "--dial", server.address, "--ping", "1", *client_prefers)
    assert client.wait() == 0
    assert client.wait_for("connected", peer=server.id)["security"] == agreed
    assert server.wait_for("connected")["security"] == agreed


def test_peers_without_a_common_security_protocol_do_not_connect(start, listener):
    server = listener("--security", "tls")
    client = start("--listen", LOOPBACK, "--dial", server.address, "--security", "noise")
    assert client.wait() == 1
    assert client.wait_for("dial_failed", peer=server.id)
    assert not server.all("connected")


def test_processes_meet_over_quic(start, listener):
    server = start("--listen", QUIC_LOOPBACK)
    (address,) = server.wait_for("listening")["addresses"]
    client = start("--listen", QUIC_LOOPBACK, "--dial", address, "--ping", "2")
    assert client.wait() == 0
    listening = client.wait_for("listening")
    connected = client.wait_for("connected", address=address.split("/p2p/")[0])
    assert (connected["security"], connected["muxer"]) == ("tls", "quic")
    assert len(client.all("ping")) == 2
    # Dialled from the socket that the client listens on, so this is where the server sees it.
    observed = client.wait_for("identified")["observed_address"]
    assert listening["addresses"] == [observed + "/p2p/" + listening["peer"]]


def test_what_a_peer_pushes_is_told(listener):
    relay = listener("--relay-service")
    target = listener("--reserve", relay.address)
    (circuit,) = target.wait_for("reserved")["addresses"]
    updated = relay.wait_for("updated", peer=target.id)
    assert circuit.removesuffix("/p2p/" + target.id) in updated["addresses"]


def test_people_read_lines(listener):
    server = listener()
    result = run("--listen", LOOPBACK, "--dial", server.address, "--ping", "1")
    assert result.returncode == 0
    assert re.search(rf"^listening /ip4/127\.0\.0\.1/tcp/\d+/p2p/12D3Koo\w+$", result.stdout, re.M)
    assert re.search(rf"^ping {server.id} direct \d+\.\d+ ms$", result.stdout, re.M)
    assert re.search(r"^  sees us at /ip4/127\.0\.0\.1/tcp/\d+$", result.stdout, re.M)


@pytest.mark.parametrize("where", [LOOPBACK, QUIC_LOOPBACK])
def test_both_ends_log_the_same_keys_for_their_owners_only(start, tmp_path, where):
    logs = [tmp_path / "server.keys", tmp_path / "client.keys"]
    server = start("--listen", where, "--security", "tls", "--keylog", str(logs[0]))
    (address,) = server.wait_for("listening")["addresses"]
    logs[1].write_text("# of another program\n")
    assert start("--dial", address, "--security", "tls", "--keylog", str(logs[1])).wait() == 0
    server.stop()

    of_server, (first, *of_client) = (log.read_text().splitlines() for log in logs)
    assert first == "# of another program"
    assert sorted(of_server) == sorted(of_client)
    assert {line.split()[0] for line in of_server} >= {
        f"{side}_{secret}" for side in ("CLIENT", "SERVER") for secret in ("HANDSHAKE_TRAFFIC_SECRET", "TRAFFIC_SECRET_0")
    }
    assert all(re.fullmatch(r"[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]{64}", line) for line in of_server)
    assert stat.S_IMODE(logs[0].stat().st_mode) == 0o600


def test_noise_has_no_keys_to_log(listener, tmp_path):
    server = listener()
    assert run("--dial", server.address, "--keylog", str(tmp_path / "keys")).returncode == 0
    assert (tmp_path / "keys").read_text() == ""


def test_each_end_of_a_quic_connection_has_a_qlog(start, tmp_path):
    server = start("--listen", QUIC_LOOPBACK, "--qlog", str(tmp_path / "server"))
    (address,) = server.wait_for("listening")["addresses"]
    assert start("--dial", address, "--qlog", str(tmp_path / "client")).wait() == 0
    server.stop()
    for side in ("client", "server"):
        (file,) = (tmp_path / side).iterdir()
        assert file.name.endswith(f"_{side}.sqlog")
        head, *events = [json.loads(record) for record in file.read_text().split("\x1e")[1:]]
        assert head["trace"]["vantage_point"]["type"] == side
        assert {"transport:packet_sent", "transport:packet_received"} <= {event["name"] for event in events}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--keylog", "/dev/null/keys"],
        ["--qlog", "/dev/null/qlog"],
        # Of simulated networks only.
        ["--predictable-keys"],
        ["--dial", "/ip4/127.0.0.1/tcp/1"],
        ["--dial", "nonsense"],
        ["--dial", "/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"],  # where?
        ["--listen", "/ip4/300.0.0.1/tcp/1"],
        ["--reserve", "/ip4/127.0.0.1/tcp/1"],
        ["--ping", "3"],
        ["--seed", "1", "--identity", "x"],
        ["--identity", "/dev/null"],
        ["--key-type", "dsa"],
        ["--security", "noise,plaintext"],
        ["--dial", "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", "--punch-wait", "10"],
        ["--no-such-option"],
    ],
)
def test_bad_usage_is_told_on_stderr(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stderr and not result.stdout
