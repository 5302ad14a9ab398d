"""Clients of other people (miniupnpc, libnatpmp) against the gateway's services, in a network namespace."""

import os
import shutil
import subprocess

import pytest

GATEWAY = os.environ["GATEWAY"]
ADDRESS = "127.0.0.1"
DESCRIPTION = f"http://{ADDRESS}:5000/rootDesc.xml"


@pytest.fixture
def gateway(request):
    """A namespace in which the loopback interface is the LAN, and a gateway on it."""
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no network namespaces here")
    for program in ("upnpc", "natpmpc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    shell = "ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo && exec \"$0\" \"$@\""
    process = subprocess.Popen(["unshare", "--net", "sh", "-c", shell, GATEWAY, ADDRESS, request.param],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(timeout=10)


def client(gateway, *command):
    done = subprocess.run(["nsenter", "--target", str(gateway.pid), "--net", *command], capture_output=True, text=True,
                          timeout=30)
    return done.stdout + done.stderr


def said(gateway):
    return gateway.stdout.readline().strip()


@pytest.mark.parametrize("gateway", ["nat-pmp"], indirect=True)
def test_natpmpc_maps_and_unmaps_a_port(gateway):
    shown = client(gateway, "natpmpc", "-g", ADDRESS, "-a", "6000", "4001", "tcp", "60")
    assert "Public IP address : 11.0.0.7" in shown
    assert "Mapped public port 6000 protocol TCP to local port 4001" in shown
    assert said(gateway) == "open tcp 6000 127.0.0.1:4001"
    client(gateway, "natpmpc", "-g", ADDRESS, "-a", "0", "4001", "tcp", "0")
    assert said(gateway) == "close tcp 6000"


@pytest.mark.parametrize("gateway", ["igd1", "igd2"], indirect=True)
def test_upnpc_finds_the_gateway_and_maps_a_port(gateway):
    shown = client(gateway, "upnpc", "-m", "lo", "-s")
    assert "Found valid IGD" in shown
    assert "ExternalIPAddress = 11.0.0.7" in shown
    assert "Connected" in shown
    shown = client(gateway, "upnpc", "-u", DESCRIPTION, "-a", ADDRESS, "4001", "6000", "udp", "60")
    assert "is redirected to internal 127.0.0.1:4001" in shown
    assert said(gateway) == "open udp 6000 127.0.0.1:4001"
    listed = client(gateway, "upnpc", "-u", DESCRIPTION, "-l")
    assert "UDP  6000->127.0.0.1:4001" in listed
    client(gateway, "upnpc", "-u", DESCRIPTION, "-d", "6000", "udp")
    assert said(gateway) == "close udp 6000"


@pytest.mark.parametrize("gateway", ["igd2"], indirect=True)
def test_upnpc_is_given_any_port(gateway):
    shown = client(gateway, "upnpc", "-u", DESCRIPTION, "-n", ADDRESS, "4001", "6000", "tcp", "60")
    assert "external 11.0.0.7:6000 TCP is redirected to internal 127.0.0.1:4001" in shown


@pytest.mark.parametrize("gateway", ["permanent"], indirect=True)
def test_upnpc_is_told_that_leases_are_permanent(gateway):
    shown = client(gateway, "upnpc", "-u", DESCRIPTION, "-a", ADDRESS, "4001", "6000", "tcp", "60")
    assert "code 725" in shown
