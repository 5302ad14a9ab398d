"""`flaresim node` and js-libp2p, in both directions, on real sockets."""

import time

import pytest

from lab import ADDRESSES, PORT, Lab
from matrix import ECDSA_GAP, LIMIT_GAP, PORT_REUSE_GAP, STACKS
from namespaces import Namespaces
from world import BOTH

OTHER = {"ours": "theirs", "theirs": "ours"}
AGENT = {"ours": "flaresim/", "theirs": "js-libp2p/"}
COMMON_PROTOCOLS = {"/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", "/libp2p/circuit/relay/0.2.0/stop"}
HOP = "/libp2p/circuit/relay/0.2.0/hop"
# What relays say that they allow, and for how long they promise it.
LIMIT = {"ours": {"duration_s": 120, "bytes": 128 * 1024}, "theirs": {"duration_s": 120_000, "bytes": 128 * 1024}}
RESERVATION_S = {"ours": 3600, "theirs": 7200}


def nameless(address):
    """Without the peer that it leads to. js-libp2p puts that behind every address, others do not."""
    head, _, last = address.rpartition("/p2p/")
    return head if head and "/" not in last else address


def nameless_all(addresses):
    return {nameless(address) for address in addresses}


def check_direct_connection(world, dialling, dialled):
    """Both report it, with the security and the muxer that the stack should bring."""
    for peer, remote, direction in ((dialling, dialled, "outbound"), (dialled, dialling, "inbound")):
        connected = peer.wait_for("connected", peer=remote.id, direction=direction, path="direct")
        assert (connected["security"], connected["muxer"]) == world.stack.channel[peer.who]


@pytest.mark.cell("ping, {dialler} dials")
@pytest.mark.parametrize("dialler", BOTH)
def test_ping(world, dialler):
    listener = OTHER[dialler]
    visitor = world.visitor(dialler, listener)
    pings = visitor.all("ping", peer=world.relay(listener).id, path="direct")
    assert len(pings) == 3
    assert all(0 <= ping["rtt_ms"] < 5000 for ping in pings)

    check_direct_connection(world, visitor, world.relay(listener))


@pytest.mark.cell("identify, {dialler} dials")
@pytest.mark.parametrize("dialler", BOTH)
def test_identify(world, dialler):
    """Both sides of one connection learn who the other is."""
    listener = OTHER[dialler]
    dialled, dialling = world.relay(listener), world.reserver(dialler, listener)

    learnt = dialling.wait_for("identified", peer=dialled.id)
    assert learnt["agent"].startswith(AGENT[listener])
    assert COMMON_PROTOCOLS | {HOP} <= set(learnt["protocols"])
    assert nameless(dialled.address) in nameless_all(learnt["addresses"])

    told = dialled.wait_for("identified", peer=dialling.id)
    assert told["agent"].startswith(AGENT[dialler])
    assert COMMON_PROTOCOLS <= set(told["protocols"])
    assert nameless(dialling.address) in nameless_all(told["addresses"])

    assert nameless(told["observed_address"]) == nameless(dialled.address)
    seen_at = dialled.wait_for("connected", peer=dialling.id)["address"]
    assert nameless(learnt["observed_address"]) == nameless(seen_at)

    # js-libp2p says what of it we have signed.
    by_js = told if dialler == "ours" else learnt
    assert nameless_all(by_js["record"]) == nameless_all(by_js["addresses"])


@pytest.mark.cell("identify push from {pusher}")
@pytest.mark.parametrize("pusher", BOTH)
def test_identify_push(world, pusher):
    """A reservation gives a peer one address more, of which the relay hears in a push."""
    relay = world.relay(OTHER[pusher])
    peer = world.reserver(pusher, OTHER[pusher])
    circuit = nameless(world.circuit(OTHER[pusher], pusher))
    first = relay.wait_for("identified", peer=peer.id)

    def is_news(found):
        return found is not first and circuit in nameless_all(found["addresses"])

    if pusher == "ours":  # js-libp2p reports what was pushed as it reports what it asked for
        relay.wait_for("identified", peer=peer.id, where=is_news)
    else:
        relay.wait_for("updated", peer=peer.id, where=is_news)
        peer.tell("handle", protocol="/flaresim/interop")
        relay.wait_for("updated", peer=peer.id, where=lambda found: "/flaresim/interop" in found["protocols"])


@pytest.mark.cell("reservation, {relay} relays")
@pytest.mark.parametrize("relay", BOTH)
def test_reservation(world, relay):
    client = OTHER[relay]
    circuit = world.circuit(relay, client)
    assert circuit.startswith(world.relay(relay).address + "/p2p-circuit/p2p/")
    if client == "ours":
        reserved = world.reserver(client, relay).wait_for("reserved", relay=world.relay(relay).id)
        assert reserved["limit"] == LIMIT[relay]
        assert abs(reserved["expires_unix_s"] - time.time() - RESERVATION_S[relay]) < 120


@pytest.mark.cell("relayed connection, {relay} relays, {dialler} dials, {listener} listens")
@pytest.mark.parametrize("relay,dialler,listener", [
    (relay, dialler, listener) for relay in BOTH for dialler in BOTH for listener in BOTH
    if {relay, dialler, listener} == set(BOTH)
])
def test_relayed_connection(world, relay, dialler, listener):
    visitor = world.visit(dialler, world.circuit(relay, listener), pings=2)
    reserver = world.reserver(listener, relay)
    assert len(visitor.all("ping", peer=reserver.id, path="relayed")) == 2

    for peer, remote, direction in ((visitor, reserver, "outbound"), (reserver, visitor, "inbound")):
        connected = peer.wait_for("connected", peer=remote.id, direction=direction, path="relayed")
        assert connected["security"] == world.stack.circuit_security
        assert connected["muxer"] == "/yamux/1.0.0"
        assert connected["limit"]["duration_s"] == LIMIT[relay]["duration_s"]
        # js-libp2p says what the handshake has left of it: that of TLS, with RSA, costs most.
        assert LIMIT[relay]["bytes"] - 16 * 1024 < connected["limit"]["bytes"] <= LIMIT[relay]["bytes"]
    learnt = visitor.wait_for("identified", peer=reserver.id)
    assert learnt["agent"].startswith(AGENT[listener])


@pytest.fixture
def lab():
    with Namespaces() as namespaces:
        made = Lab(namespaces)
        made.refuse_unsolicited("dialler")
        yield made


@pytest.mark.cell("DCUtR, {dialler} dials over the relay of {relay}")
@pytest.mark.parametrize("dialler", BOTH)
@pytest.mark.parametrize("relay", BOTH)
def test_dcutr(private_world, lab, relay, dialler):
    """The dialler cannot be dialled, so that reversal fails; then CONNECT, CONNECT, SYNC, and its dial succeeds."""
    world, listener = private_world, OTHER[dialler]

    def start(host, who, *arguments):
        ip = ADDRESSES[host]
        punches = ("--dcutr", "--announce", world.stack.listen.format(ip, PORT)) if who == "theirs" else ()
        return world.start(who, *world.listen(ip, PORT), *arguments, *punches,
                           namespace=lab.namespace(host))

    via = start("relay", relay, "--relay-service").wait_until_listening()
    target = start("listener", listener, "--reserve", via.address)
    visitor = start("dialler", dialler) if dialler == "theirs" else None
    target.wait_until_listening()
    circuit = world.wait_for_circuit(target, via)

    if dialler == "ours":
        visitor = start("dialler", dialler, "--dial", circuit, "--ping", "1").wait_until_listening()
        assert visitor.wait_for("done")["path"] == "direct"
        visitor.wait_for("ping", peer=target.id, path="direct")
        assert visitor.wait() == 0  # before it is told to end, which it is about to do by itself
    else:
        visitor.wait_until_listening()
        # A ping of js-libp2p over a relayed connection would dial the relay again, and DCUtR's dial join that dial.
        visitor.tell("dial", address=circuit, pings=0)

    check_direct_connection(world, visitor, target)
    ours, theirs = (visitor, target) if dialler == "ours" else (target, visitor)
    assert ours.wait_for("punch", peer=theirs.id)["outcome"] == "punched"


@pytest.mark.cell("ECDSA identity, {dialler} dials")
@pytest.mark.parametrize("dialler", ["theirs"])
@pytest.mark.known_gap(ECDSA_GAP)
def test_js_libp2p_refuses_an_ecdsa_identity(make_world, dialler):
    world = make_world(STACKS[0], "ECDSA", "Ed25519")
    listener = world.relay("ours")
    visitor = world.start(dialler, *world.listen()).wait_until_listening()
    visitor.tell("dial", address=listener.address, pings=0)
    assert visitor.wait_for("failed")["error"].startswith("EncryptionFailedError")


@pytest.mark.cell("port reuse, {dialler} dials")
@pytest.mark.parametrize("dialler", ["theirs"])
@pytest.mark.known_gap(PORT_REUSE_GAP)
def test_js_libp2p_does_not_dial_from_its_listening_port(make_world, dialler):
    world = make_world(STACKS[0], "Ed25519", "Ed25519")
    visitor = world.visitor(dialler, "ours")
    seen_at = world.relay("ours").wait_for("connected", peer=visitor.id)["address"]
    assert nameless(seen_at) != nameless(visitor.address)


@pytest.mark.cell("limit of a circuit in seconds, {relay} relays")
@pytest.mark.parametrize("relay", ["theirs"])
@pytest.mark.known_gap(LIMIT_GAP)
def test_js_libp2p_says_the_limit_of_a_circuit_in_milliseconds(make_world, relay):
    world = make_world(STACKS[0], "Ed25519", "Ed25519")
    reserved = world.reserver("ours", relay).wait_for("reserved")
    assert reserved["limit"]["duration_s"] == 2 * 60 * 1000
