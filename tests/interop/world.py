"""A few peers of one stack and key type that meet; each is started when it is first asked for."""

import itertools
import subprocess

from js_peer import Theirs
from peers import Ours

BOTH = ("ours", "theirs")
LOOPBACK = "127.0.0.1"


class World:
    """`who` is "ours" or "theirs" throughout."""

    def __init__(self, program, js, logs, stack, our_key_type, their_key_type):
        self.stack = stack
        self._logs = logs
        self._command = {
            "ours": [program, "node", "--json", "--key-type", our_key_type.lower(), *stack.ours],
            "theirs": [js.node, js.program, "--key-type", their_key_type, *stack.theirs],
        }
        self._peers = []
        self._known = {}

    def start(self, who, *arguments, namespace=None):
        log = self._logs / f"{len(self._peers)}-{who}"
        peer = {"ours": Ours, "theirs": Theirs}[who]([*self._command[who], *arguments], log, namespace)
        self._peers.append(peer)
        return peer

    def listen(self, ip=LOOPBACK, port=0):
        return "--listen", self.stack.listen.format(ip, port)

    def prepare(self):
        """Starts what most tests ask for, side by side."""
        for who in BOTH:
            self._relay(who)
        for who, relay in itertools.product(BOTH, BOTH):
            self._reserver(who, relay)

    def relay(self, who):
        """Listens, and relays for others."""
        return self._relay(who).wait_until_listening()

    def _relay(self, who):
        return self._once(("relay", who), lambda: self.start(who, *self.listen(), "--relay-service"))

    def reserver(self, who, relay):
        """Listens, and is to be reached through a relay."""
        return self._reserver(who, relay).wait_until_listening()

    def _reserver(self, who, relay):
        address = self.relay(relay).address
        return self._once(("reserver", who, relay), lambda: self.start(who, *self.listen(), "--reserve", address))

    def circuit(self, relay, listener):
        """The address of a reserver through its relay, once it can be reached there."""
        return self.wait_for_circuit(self.reserver(listener, relay), self.relay(relay))

    @staticmethod
    def wait_for_circuit(peer, relay):
        address = f"{relay.address}/p2p-circuit/p2p/{peer.id}"
        event = {"ours": "reserved", "theirs": "addresses"}[peer.who]
        peer.wait_for(event, where=lambda found: address in found["addresses"])
        return address

    def visitor(self, who, listener):
        """Has connected to the relay `listener` directly, identified, pinged it three times."""
        return self._once(("visitor", who, listener), lambda: self.visit(who, self.relay(listener).address, pings=3))

    def visit(self, who, address, pings):
        """A peer that dials, is identified, pings; it is still connected when it is one of theirs."""
        dial = ["--dial", address, "--ping", str(pings), "--punch-wait", "0ms"] if who == "ours" else []
        peer = self.start(who, *self.listen(), *dial).wait_until_listening()
        if who == "theirs":
            peer.tell("dial", address=address, pings=pings)
        peer.wait_for("done")
        return peer

    def stop(self):
        """Ends all; fails when one of them had crashed or does not end."""
        failures = []
        for peer in reversed(self._peers):
            print(peer)  # for pytest to show when the test has failed
            try:
                if (code := peer.stop()) != 0:
                    failures.append(f"ended with {code}\n{peer}")
            except subprocess.TimeoutExpired:
                failures.append(f"had to be killed\n{peer}")
        assert not failures, "\n".join(failures)

    def _once(self, key, make):
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]
