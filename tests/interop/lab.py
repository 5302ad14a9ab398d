"""Three hosts on one wire, with addresses that look public: js-libp2p neither sends nor dials private ones."""

import os
import subprocess

import pytest

ADDRESSES = {"relay": "11.0.0.1", "dialler": "11.0.0.2", "listener": "11.0.0.3"}
PORT = 4001  # each host has it to itself


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def must(*command):
    result = run(*command)
    assert result.returncode == 0, f"{' '.join(command)}: {result.stderr}"


class Lab:
    """Network namespaces, made by entering and removed by leaving. The wire is a bridge in the relay's."""

    def __init__(self):
        self._prefix = f"flaresim{os.getpid()}"
        self._made = []

    def namespace(self, host):
        return f"{self._prefix}-{host}"

    def __enter__(self):
        try:
            for host in ADDRESSES:
                self._make(host)
            self._wire()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for namespace in self._made:
            run("ip", "netns", "del", namespace)

    def _make(self, host):
        namespace = self.namespace(host)
        made = run("ip", "netns", "add", namespace)
        if made.returncode != 0:
            pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        self._made.append(namespace)
        must("ip", "-n", namespace, "link", "set", "lo", "up")

    def _wire(self):
        relay = self.namespace("relay")
        must("ip", "-n", relay, "link", "add", "wire", "type", "bridge")
        must("ip", "-n", relay, "addr", "add", f"{ADDRESSES['relay']}/24", "dev", "wire")
        must("ip", "-n", relay, "link", "set", "wire", "up")
        for host in ("dialler", "listener"):
            namespace = self.namespace(host)
            must("ip", "-n", relay, "link", "add", host, "type", "veth", "peer", "name", "eth", "netns", namespace)
            must("ip", "-n", relay, "link", "set", host, "master", "wire", "up")
            must("ip", "-n", namespace, "addr", "add", f"{ADDRESSES[host]}/24", "dev", "eth")
            must("ip", "-n", namespace, "link", "set", "eth", "up")

    def refuse_unsolicited(self, host):
        """`host` can dial, and cannot be dialled. The first TCP SYN is refused, so that connection reversal is over
        at once; others stay unanswered, so that a punch has the time that it takes the other side to connect."""
        def nft(*words):
            must("ip", "netns", "exec", self.namespace(host), "nft", *words)

        nft("add", "table", "inet", "wall")
        nft("add", "chain", "inet", "wall", "in", "{ type filter hook input priority 0; }")
        unsolicited = ("th", "dport", str(PORT), "ct", "state", "new")
        nft("add", "rule", "inet", "wall", "in", "meta", "l4proto", "tcp", *unsolicited, "limit", "rate", "1/hour",
            "burst", "1", "packets", "reject", "with", "tcp", "reset")
        nft("add", "rule", "inet", "wall", "in", "meta", "l4proto", "{ tcp, udp }", *unsolicited, "drop")
