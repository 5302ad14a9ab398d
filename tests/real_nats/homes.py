"""Two homes behind real Linux routers, servers, and the Internet between them: with one relay, the world of `flaresim
run scenarios/pair.yaml`, with the same addresses."""

import itertools
import json
import sys
from pathlib import Path

import pytest
from namespaces import need
from peers import Ours, Peer

RELAY = {"relay": "147.75.10.10"}
GATEWAYS = {"a": "84.16.40.7", "b": "84.16.41.7"}
NETWORKS = {"a": "192.168.1", "b": "192.168.2"}
PORT = 4001
LISTEN = {"tcp": "/ip4/{}/tcp/{}", "quic": "/ip4/{}/udp/{}/quic-v1"}

# What the presets of these names say that they are.
RULES = {
    "linux": "",
    "linux-input-drop": 'chain input { type filter hook input priority filter; iifname "wan" drop; }',
}


class Wan(Peer):
    who = "wan"

    def ask_to_end(self):
        self.process.stdin.close()


class Homes:
    """Its processes end with `processes`, a contextlib.ExitStack, and leave logs and captures in `folder`. `servers`
    are hosts with public addresses; packets take `delay_ms[from][to]` between these and the homes."""

    def __init__(self, namespaces, processes, program, folder, delay_ms, servers):
        self._namespaces = namespaces
        self._processes = processes
        self._program = program
        self._folder = folder
        self._logs = (folder / f"{number}.log" for number in itertools.count())
        need("nft")
        if not Path("/dev/net/tun").exists():
            pytest.skip("no TUN devices here: /dev/net/tun is missing")
        for host in (*servers, "gateway-a", "gateway-b", "a", "b"):
            namespaces.make(host)
        self._start_wan(delay_ms, servers)
        for server, address in servers.items():
            self._give_address(server, address)
        for home in GATEWAYS:
            self._make_home(home)

    def capture(self, member):
        """What crosses the outside of a gateway, or reaches and leaves a server."""
        return self._folder / f"{member}.pcap"

    def _start_wan(self, delay_ms, servers):
        hosts = {**{server: (server, servers[server]) for server in servers},
                 **{home: (f"gateway-{home}", GATEWAYS[home]) for home in GATEWAYS}}
        members = {member: {"namespace": self._namespaces.of(host), "addresses": [address],
                            "capture": str(self.capture(member))} for member, (host, address) in hosts.items()}
        command = [sys.executable, str(Path(__file__).with_name("wan.py")),
                   json.dumps({"members": members, "delay_ms": delay_ms})]
        self._start(Wan, command, None).wait_for("listening")

    def _give_address(self, host, address):
        self._namespaces.ip(host, "addr", "add", f"{address}/32", "dev", "wan")
        self._namespaces.ip(host, "link", "set", "wan", "up")
        self._namespaces.ip(host, "route", "add", "default", "dev", "wan")

    def _make_home(self, home):
        gateway, network, ip = f"gateway-{home}", NETWORKS[home], self._namespaces.ip
        ip(gateway, "link", "add", "lan", "type", "veth", "peer", "name", "eth", "netns", self._namespaces.of(home))
        ip(gateway, "addr", "add", f"{network}.1/24", "dev", "lan")
        ip(gateway, "link", "set", "lan", "up")
        ip(home, "addr", "add", f"{network}.10/24", "dev", "eth")
        ip(home, "link", "set", "eth", "up")
        ip(home, "route", "add", "default", "via", f"{network}.1")
        self._give_address(gateway, GATEWAYS[home])
        self._namespaces.must(gateway, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def masquerade(self, nat):
        """Both gateways become this kind of Linux router."""
        for home in GATEWAYS:
            self._namespaces.must(f"gateway-{home}", "nft", f"""table ip router {{
                chain postrouting {{
                    type nat hook postrouting priority srcnat;
                    oifname "wan" masquerade;
                }}
                {RULES[nat]}
            }}""")

    def start_node(self, host, transport, *arguments):
        listen = LISTEN[transport].format("0.0.0.0", PORT)
        command = [self._program, "node", "--json", "--listen", listen, *arguments]
        return self._start(Ours, command, self._namespaces.of(host)).wait_until_listening()

    def _start(self, kind, command, namespace):
        process = kind(command, next(self._logs), namespace)
        self._processes.callback(process.stop)
        self._processes.callback(lambda: print(process))  # for pytest to show when the test has failed
        return process
