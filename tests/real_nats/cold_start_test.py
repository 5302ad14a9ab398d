"""Two of our own nodes behind the NAT of the Linux kernel begin with the address of one other, and A connects to B by
its peer id alone."""

import itertools
import os
from contextlib import ExitStack

import pytest
from homes import GATEWAYS, Homes
from namespaces import Namespaces

PROGRAM = os.environ["FLARESIM"]
# As many as AutoRelay waits for (`AutoRelayProfile::min_candidates`), each in a network of its own.
SERVERS = {f"server-{number}": f"{147 + number}.75.10.10" for number in range(1, 5)}
ONE_WAY_MS = 20
RELAYS_WANTED = 2
BOOT_S = 90  # a first verdict takes up to 31 s by AutoNAT v1, then relays are to be found
PUNCH_S = 60  # B first dials the address that A tells, which takes 5 s in vain


def delays_ms():
    delays = {member: {} for member in (*SERVERS, *GATEWAYS)}
    for source, destination in itertools.permutations(delays, 2):
        delays[source][destination] = ONE_WAY_MS
    return delays


@pytest.fixture
def homes(tmp_path):
    with Namespaces() as namespaces, ExitStack() as processes:
        made = Homes(namespaces, processes, PROGRAM, tmp_path, delays_ms(), SERVERS)
        made.masquerade("linux-input-drop")
        yield made


def start_servers(homes, transport):
    """All know the first one."""
    servers, bootstrap = [], []
    for host in SERVERS:
        arguments = "--relay-service", "--dht", "server", "--autonat", "both", *bootstrap
        servers.append(homes.start_node(host, transport, *arguments))
        bootstrap = bootstrap or ["--bootstrap", servers[0].address]
    return servers, bootstrap


def relays_in(addresses):
    """Those of circuit addresses."""
    circuits = (address.split("/p2p-circuit")[0] for address in addresses if "/p2p-circuit" in address)
    return {address.rpartition("/p2p/")[2] for address in circuits}


@pytest.mark.parametrize("transport", ["tcp", "quic"])
def test_a_peer_id_is_enough(homes, transport):
    servers, bootstrap = start_servers(homes, transport)
    b = homes.start_node("b", transport, "--dht", "auto", "--autonat", "v1", "--auto-relay", *bootstrap)
    assert b.wait_for("reachability", seconds=BOOT_S)["verdict"] == "private"
    b.wait_for("reserved", where=lambda found: len(relays_in(found["addresses"])) == RELAYS_WANTED)
    relays = {reserved["relay"] for reserved in b.all("reserved")}
    for server in servers:  # which tell others what they know
        server.wait_for("updated", peer=b.id, where=lambda found: relays_in(found["addresses"]) == relays)

    a = homes.start_node("a", transport, "--dht", "client", "--dial", f"/p2p/{b.id}", "--punch-wait",
                         f"{PUNCH_S}s", *bootstrap)
    assert a.wait(PUNCH_S) == 0
    relayed = a.wait_for("connected", peer=b.id, path="relayed")
    assert relays_in([relayed["address"]]) <= relays
    direct = a.wait_for("connected", peer=b.id, path="direct")
    assert GATEWAYS["b"] in direct["address"]
    assert b.wait_for("punch")["outcome"] == "punched"
    assert a.wait_for("done")["path"] == "direct"
