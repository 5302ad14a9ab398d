"""The DHT of `flaresim node` and of js-libp2p, in both directions, on real sockets."""

import pytest

from matrix import FEW_COMBINATIONS, combinations
from world import BOTH

OTHER = {"ours": "theirs", "theirs": "ours"}
JOIN = {"ours": ("--dht-private", "--dht-accept", "flaresim"), "theirs": ()}


combination = combinations(FEW_COMBINATIONS)


@pytest.fixture
def servers(private_world):
    """One DHT server of each kind that know each other, and who stay."""
    world = private_world
    theirs = world.start("theirs", *world.listen(), "--dht", "server").wait_until_listening()
    ours = world.start("ours", *world.listen(), "--dht", "server", *JOIN["ours"],
                       "--bootstrap", theirs.address).wait_until_listening()
    ours.wait_for("dht_joined")
    theirs.wait_for("identified", peer=ours.id)
    return {"ours": ours, "theirs": theirs}


def ask(world, who, server, task, once_known=None, **what):
    """A client asks the DHT that `server` is in; gives what it reports. One of theirs waits until `once_known`, if
    given, has come into its table, too."""
    reply = {"put": "stored", "get": "value", "provide": "provided", "find-providers": "providers",
             "find-peer": "found"}[task]
    if who == "ours":
        argument = "=".join(what.values())
        peer = world.start(who, *world.listen(), "--dht", "client", *JOIN[who], "--bootstrap", server.address,
                           f"--{task}", argument)
    else:
        peer = world.start(who, *world.listen(), "--dht", "client").wait_until_listening()
        # No ping of ours: js-libp2p takes nobody into its table whom it may not ping just then.
        peer.tell("dial", address=server.address, pings=0)
        peer.wait_for("done")
        if once_known:
            peer.wait_for("dht_peer", peer=once_known.id)
        peer.tell(task.replace("-", "_"), **what)
    found = peer.wait_for(reply)
    if who == "ours" and task != "provide":
        assert peer.wait() == 0
    return peer, found


@pytest.mark.cell("DHT: a value put by {putter}, got by {getter}")
@pytest.mark.parametrize("putter", BOTH)
@pytest.mark.parametrize("getter", BOTH)
def test_values(private_world, servers, putter, getter):
    """The putter knows the other implementation's server only, and so does the getter."""
    key, value = "/flaresim/answer", f"42, says {putter}"
    ask(private_world, putter, servers[OTHER[putter]], "put", key=key, value=value)
    _, found = ask(private_world, getter, servers[OTHER[getter]], "get", key=key)
    assert found["value"] == value


@pytest.mark.cell("DHT: a provider {provider}, found by {seeker}")
@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize("seeker", BOTH)
def test_providers(private_world, servers, provider, seeker):
    content = "what flaresim and js-libp2p have in common"
    source, _ = ask(private_world, provider, servers[OTHER[provider]], "provide", content=content)
    _, found = ask(private_world, seeker, servers[OTHER[seeker]], "find-providers", content=content)
    assert source.wait_until_listening().id in found["peers"]


@pytest.mark.cell("DHT: {seeker} finds a peer that only {server} knows")
@pytest.mark.parametrize("seeker", BOTH)
@pytest.mark.parametrize("server", BOTH)
def test_peers(private_world, servers, seeker, server):
    """The wanted one is a client that is connected to one server, and the seeker begins at the other one.

    A lookup of js-libp2p goes on only to those that are nearer to its target than who named them, which of two
    servers the second is not in half of all cases. So it has to learn of that one from its lookup of itself before."""
    world = private_world
    wanted = world.start("theirs", *world.listen()).wait_until_listening()
    wanted.tell("dial", address=servers[server].address, pings=1)
    wanted.wait_for("done")
    servers[server].wait_for("identified", peer=wanted.id)
    _, found = ask(world, seeker, servers[OTHER[server]], "find-peer", once_known=servers[server], peer=wanted.id)
    assert any(address.startswith("/ip4/127.0.0.1/") for address in found["addresses"])
