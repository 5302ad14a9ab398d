"""What the suite covers: stacks, key types, and what is known not to work and why."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stack:
    """One way from peer to peer, as each side names it."""

    name: str
    listen: str  # a multiaddr to be filled in with an address and a port
    ours: tuple = ()  # arguments of `flaresim node`
    theirs: tuple = ()  # arguments of js_peer.mjs
    security: str = "/noise"
    muxer: str = "/yamux/1.0.0"
    circuit_security: str = "/noise"  # inside of a circuit there is no transport that would bring its own
    not_offered: str = ""  # why `flaresim node` cannot do it


STACKS = [
    Stack("tcp+noise", "/ip4/{}/tcp/{}"),
    Stack("tcp+tls", "/ip4/{}/tcp/{}", theirs=("--security", "tls"), security="/tls/1.0.0",
          circuit_security="/tls/1.0.0", not_offered="`flaresim node` has no TLS"),
    Stack("quic", "/ip4/{}/udp/{}/quic-v1", theirs=("--transport", "quic"), security="native", muxer="quic",
          not_offered="`flaresim node` has no QUIC"),
]

KEY_TYPES = ["Ed25519", "secp256k1", "RSA"]

# What js-libp2p does not do. Those that can be seen are tested: a gap that closes turns the suite red.
ECDSA_GAP = "js-libp2p reads them in another form than PKIX, and makes no peer id of them"
PORT_REUSE_GAP = "js-libp2p dials TCP from a new port, and QUIC from a second socket: no punch through two NATs"
UNTESTED_GAPS = {
    "AutoNAT v1, js-libp2p serves": "js-libp2p dials back over the connection that asks, and then closes it"
}
