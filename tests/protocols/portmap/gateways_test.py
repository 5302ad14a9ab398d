"""The port-mapping client against miniupnpd, whose NAT is the kernel's."""

import os
import subprocess

import pytest

from namespaces import Namespaces, need

PORTMAP = os.environ["PORTMAP"]

CONFIGURATION = """
ext_ifname=wan
listening_ip=lan
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
min_lifetime=1
max_lifetime=86400
uuid=00000000-0000-4000-8000-000000000001
lease_file={folder}/leases
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
upnp_table_name=filter
upnp_nat_table_name=nat
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""

RULES = """
table inet filter {
  chain forward { type filter hook forward priority 0; policy accept; jump miniupnpd; }
  chain miniupnpd { }
}
table inet nat {
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; oifname "wan" masquerade; }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
"""


@pytest.fixture
def home(tmp_path):
    """A host behind a router with miniupnpd, and somebody outside."""
    need("miniupnpd")
    need("nft")
    with Namespaces() as namespaces:
        for name in ("host", "router", "outside"):
            namespaces.make(name)
        ip = namespaces.ip
        ip("router", "link", "add", "lan", "type", "veth", "peer", "name", "eth", "netns", namespaces.of("host"))
        ip("router", "link", "add", "wan", "type", "veth", "peer", "name", "eth", "netns", namespaces.of("outside"))
        ip("router", "addr", "add", "192.168.1.1/24", "dev", "lan")
        ip("router", "addr", "add", "11.0.0.1/24", "dev", "wan")
        ip("host", "addr", "add", "192.168.1.10/24", "dev", "eth")
        ip("outside", "addr", "add", "11.0.0.2/24", "dev", "eth")
        for name, interface in (("router", "lan"), ("router", "wan"), ("host", "eth"), ("outside", "eth")):
            ip(name, "link", "set", interface, "up")
        ip("host", "route", "add", "default", "via", "192.168.1.1")
        namespaces.must("router", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        (tmp_path / "rules").write_text(RULES)
        namespaces.must("router", "nft", "-f", str(tmp_path / "rules"))
        (tmp_path / "miniupnpd.conf").write_text(CONFIGURATION.format(folder=tmp_path))
        daemon = subprocess.Popen(["ip", "netns", "exec", namespaces.of("router"), "miniupnpd", "-d", "-f",
                                   str(tmp_path / "miniupnpd.conf"), "-P", str(tmp_path / "pid")],
                                  stdout=open(tmp_path / "log", "w"), stderr=subprocess.STDOUT)
        try:
            yield namespaces
        finally:
            daemon.terminate()
            daemon.wait(timeout=10)


def connects(namespaces, port):
    """Whether somebody outside reaches the host's TCP port through the router's."""
    listener = subprocess.Popen(["ip", "netns", "exec", namespaces.of("host"), "python3", "-c",
                                 "import socket; s = socket.create_server(('192.168.1.10', 4001)); print('up', flush=True);"
                                 "s.settimeout(5); s.accept()[0].sendall(b'hello')"], stdout=subprocess.PIPE, text=True)
    assert listener.stdout.readline() == "up\n"
    reached = subprocess.run(["ip", "netns", "exec", namespaces.of("outside"), "python3", "-c",
                              f"import socket; s = socket.create_connection(('11.0.0.1', {port}), timeout=3);"
                              "assert s.recv(5) == b'hello'"], capture_output=True, check=False).returncode == 0
    listener.terminate()
    listener.wait(timeout=10)
    return reached


@pytest.mark.parametrize("protocol, name", [("nat-pmp", "nat-pmp"), ("pcp", "pcp"), ("igd", "upnp-igd:2")])
def test_maps_a_port_through_which_the_host_is_reached(home, protocol, name):
    assert not connects(home, 4001)
    client = subprocess.Popen(["ip", "netns", "exec", home.of("host"), "timeout", "20", PORTMAP, protocol], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == f"{name} 11.0.0.1:4001\n"
    assert connects(home, 4001)
    client.stdin.close()
    client.wait(timeout=10)
    assert not connects(home, 4001)
