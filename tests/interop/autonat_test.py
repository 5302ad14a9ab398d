"""AutoNAT of `flaresim node` and of js-libp2p, in both directions, on real sockets between network namespaces.

Both ask and answer for public addresses only, so the hosts have some, and neither has to be told to do otherwise. One
thing is changed in js-libp2p: its server of v1 is made to dial, which by itself it does not (see the known gap).
"""

import pytest

from lab import ADDRESSES, PORT, SECOND_ADDRESSES, Lab
from matrix import DIAL_BACK_GAP, FEW_COMBINATIONS, STACKS, combinations
from namespaces import Namespaces

VERSIONS = ["v1", "v2"]
SERVER_HOST, CLIENT_HOST = "relay", "dialler"
# Our client of v2 believes what two servers have said.
SERVERS_FOR_US = {"v1": 1, "v2": 2}
THEIR_SERVERS = [pytest.param("v1", "js-libp2p (made to dial)", "ours", id="v1"),
                 pytest.param("v2", "theirs", "ours", id="v2")]
AUTONAT_OF_THEIR_SERVER = {"v1": "v1-anew", "v2": "v2"}
FAILURE_TOLD_BY_THEIR_CLIENT = {"v1": "autonat response from {server} for {address} is E_DIAL_ERROR",
                                "v2": "{server} could not dial {address}"}


combination = combinations(FEW_COMBINATIONS)


@pytest.fixture
def lab():
    with Namespaces() as namespaces:
        yield Lab(namespaces)


class Scene:
    """Servers on one host, and on another a client, which connects to them and asks."""

    def __init__(self, world, lab):
        self._world, self._lab = world, lab

    def address(self, ip, port=PORT):
        return self._world.stack.listen.format(ip, port)

    def _start(self, host, who, ips, *arguments, port=PORT):
        listen = [word for ip in ips for word in self._world.listen(ip, port)]
        return self._world.start(who, *listen, *arguments, namespace=self._lab.namespace(host))

    def our_server(self):
        """Holds itself to be public, so that it asks nobody."""
        server = self._start(SERVER_HOST, "ours", [ADDRESSES[SERVER_HOST]], "--autonat", "both", "--dht", "server")
        return server.wait_until_listening()

    def their_servers(self, autonat, count):
        """They announce their addresses, which they would not tell before somebody has verified them."""
        ip = ADDRESSES[SERVER_HOST]
        servers = [self._start(SERVER_HOST, "theirs", [ip], "--autonat", autonat, "--relay-service",
                               "--announce", self.address(ip, port), port=port) for port in range(PORT, PORT + count)]
        return [server.wait_until_listening() for server in servers]

    def their_client(self, autonat, server, ips):
        client = self._start(CLIENT_HOST, "theirs", ips, "--autonat", autonat).wait_until_listening()
        client.tell("dial", address=server.address, pings=0)
        client.wait_for("done")
        return client

    def our_client(self, autonat, servers, ips):
        """It reserves on them, so that it connects, and stays."""
        reserve = [word for server in servers for word in ("--reserve", server.address)]
        return self._start(CLIENT_HOST, "ours", ips, "--autonat", autonat, *reserve).wait_until_listening()


@pytest.fixture
def scene(private_world, lab):
    return Scene(private_world, lab)


def check_nonces(asking, serving):
    """js-libp2p believes a server that shows it no nonce, or another one, and only logs the latter. What dials back has
    another name than the server, and waits for the nonce to be taken before the server answers."""
    asking.wait_for("connected", direction="inbound", where=lambda found: found["peer"] != serving.id)
    assert not [told for told in asking.all("autonat") if "nonce" in told["text"]]


@pytest.mark.cell("AutoNAT {version}: {server} finds that {client} can be dialled")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("server,client", [("ours", "theirs")])
def test_our_server_dials_back(scene, version, server, client):
    """js-libp2p advertises a public address only once it is verified. The dial-back of v1 ends when our side has it,
    which may be before the other side has, so that only one that fails shows that there was one."""
    ip = ADDRESSES[CLIENT_HOST]
    serving = scene.our_server()
    asking = scene.their_client(version, serving, [ip])
    asking.wait_for("autonat", text=f"transport address {scene.address(ip)} is externally dialable")
    asking.wait_for("addresses", where=lambda found: f"{scene.address(ip)}/p2p/{asking.id}" in found["addresses"])
    if version == "v2":
        check_nonces(asking, serving)


@pytest.mark.cell("AutoNAT {version}: {server} finds that {client} cannot be dialled")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("server,client", [("ours", "theirs")])
def test_our_server_cannot_dial_back(scene, lab, version, server, client):
    """What js-libp2p is told by one server. It would need to hear it from eight to believe it."""
    lab.refuse_unsolicited(CLIENT_HOST)
    ip = ADDRESSES[CLIENT_HOST]
    serving = scene.our_server()
    asking = scene.their_client(version, serving, [ip])
    asking.wait_for("autonat", text=FAILURE_TOLD_BY_THEIR_CLIENT[version].format(
        server=serving.id, address=scene.address(ip)))


@pytest.mark.cell("AutoNAT {version}: {server} finds that {client} can be dialled")
@pytest.mark.parametrize("version,server,client", THEIR_SERVERS)
def test_their_server_dials_back(scene, version, server, client):
    serving = scene.their_servers(AUTONAT_OF_THEIR_SERVER[version], SERVERS_FOR_US[version])
    asking = scene.our_client(version, serving, [ADDRESSES[CLIENT_HOST]])
    assert asking.wait_for("reachability")["verdict"] == "public"
    for peer in serving:
        asking.wait_for("connected", peer=peer.id, direction="outbound")
        asking.wait_for("connected", peer=peer.id, direction="inbound")


@pytest.mark.cell("AutoNAT {version}: {server} finds that {client} cannot be dialled")
@pytest.mark.parametrize("version,server,client", THEIR_SERVERS)
def test_their_server_cannot_dial_back(scene, lab, version, server, client):
    lab.refuse_unsolicited(CLIENT_HOST)
    serving = scene.their_servers(AUTONAT_OF_THEIR_SERVER[version], SERVERS_FOR_US[version])
    asking = scene.our_client(version, serving, [ADDRESSES[CLIENT_HOST]])
    assert asking.wait_for("reachability")["verdict"] == "private"


@pytest.mark.cell("AutoNAT v2: {client} pays {server} for a dial to another IP address")
@pytest.mark.parametrize("server,client", [("ours", "theirs")])
def test_their_client_pays(scene, lab, server, client):
    lab.add_second_addresses()
    ip = SECOND_ADDRESSES[CLIENT_HOST]
    serving = scene.our_server()
    asking = scene.their_client("v2", serving, [ip])
    connected = serving.wait_for("connected", peer=asking.id, direction="inbound")
    assert connected["address"].startswith(f"/ip4/{ADDRESSES[CLIENT_HOST]}/")
    paid = asking.wait_for("autonat", where=lambda told: f" bytes to {serving.id} as " in told["text"])["text"]
    assert 30_000 <= int(paid.split()[1]) <= 100_000  # sending N bytes to …
    asking.wait_for("autonat", text=f"transport address {scene.address(ip)} is externally dialable")
    check_nonces(asking, serving)


@pytest.mark.cell("AutoNAT v2: {client} pays {server} for a dial to another IP address")
@pytest.mark.parametrize("server,client", [("theirs", "ours")])
def test_our_client_pays(scene, lab, server, client):
    """A server of js-libp2p does not say that it was paid, but dials no other IP address than the asking one before."""
    lab.add_second_addresses()
    ips = ADDRESSES[CLIENT_HOST], SECOND_ADDRESSES[CLIENT_HOST]
    serving = scene.their_servers("v2", SERVERS_FOR_US["v2"])
    asking = scene.our_client("v2", serving, ips)
    assert asking.wait_for("reachability")["verdict"] == "public"
    for peer in serving:
        connected = peer.wait_for("connected", peer=asking.id, direction="inbound")
        assert connected["address"].startswith(f"/ip4/{ips[0]}/")
        peer.wait_for("connected", peer=asking.id, direction="outbound",
                      address=f"{scene.address(ips[1])}/p2p/{asking.id}")


@pytest.mark.cell("AutoNAT v1, {server} serves as it is")
@pytest.mark.parametrize("server", ["theirs"])
@pytest.mark.known_gap(DIAL_BACK_GAP)
def test_js_libp2p_does_not_dial_back_in_v1(make_world, lab, server):
    scene = Scene(make_world(STACKS[0], "Ed25519", "Ed25519"), lab)
    serving, = scene.their_servers("v1", 1)
    asking = scene.our_client("v1", [serving], [ADDRESSES[CLIENT_HOST]])
    serving.wait_for("autonat", where=lambda told: told["text"].startswith(f"successfully dialed {asking.id} via "))
    asking.wait_for("disconnected", peer=serving.id)
    assert not serving.all("connected", direction="outbound")
    assert not asking.all("reachability")
