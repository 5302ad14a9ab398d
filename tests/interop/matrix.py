"""What the suite covers: stacks, key types, and what is known not to work and why."""

from dataclasses import dataclass, field

import pytest

NOISE, TLS, YAMUX = "/noise", "/tls/1.0.0", "/yamux/1.0.0"
KEY_TYPES = ["Ed25519", "secp256k1", "RSA"]


@dataclass(frozen=True)
class Stack:
    """One way from peer to peer, as each side names it."""

    name: str
    listen: str  # a multiaddr to be filled in with an address and a port
    channel: dict = field(hash=False)  # security and muxer of a direct connection, as each side reports them
    circuit_security: str = NOISE  # inside of a circuit there is no transport that would bring its own
    ours: tuple = ()  # arguments of `flaresim node`
    theirs: tuple = ()  # arguments of js_peer.mjs


STACKS = [
    Stack("tcp+noise", "/ip4/{}/tcp/{}", {"ours": (NOISE, YAMUX), "theirs": (NOISE, YAMUX)}),
    Stack("tcp+tls", "/ip4/{}/tcp/{}", {"ours": (TLS, YAMUX), "theirs": (TLS, YAMUX)}, TLS,
          ours=("--security", "tls"), theirs=("--security", "tls")),
    Stack("quic", "/ip4/{}/udp/{}/quic-v1", {"ours": ("tls", "quic"), "theirs": ("native", "quic")},
          theirs=("--transport", "quic")),
]


def combinations(of):
    """A fixture that goes through pairs of a stack and a key type, which both sides have; a module's own comes before
    that of conftest.py."""
    @pytest.fixture(scope="module", params=of, ids=lambda each: f"{each[0].name}-{each[1]}")
    def combination(request):
        stack, key_type = request.param
        return stack, key_type, key_type

    return combination


# For what neither the key nor the security of TCP makes a difference to.
FEW_COMBINATIONS = [(STACKS[0], "Ed25519"), (STACKS[2], "Ed25519")]

# What js-libp2p does not do. Those that can be seen are tested: a gap that closes turns the suite red.
ECDSA_GAP = "js-libp2p reads them in another form than PKIX, and makes no peer id of them"
PORT_REUSE_GAP = "js-libp2p dials TCP from a new port, and QUIC from a second socket: no punch through two NATs"
LIMIT_GAP = "js-libp2p means two minutes, and says 120 000 s: it writes milliseconds where the protocol has seconds"
DIAL_BACK_GAP = "js-libp2p takes the connection that asks for one that it dialled back, and closes it before it answers"
