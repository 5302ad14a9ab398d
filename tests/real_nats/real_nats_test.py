"""Three of our own nodes punch through the NAT of the Linux kernel, and it ends as in the simulator."""

import csv
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from homes import GATEWAYS, PORT, RELAY, Homes
from namespaces import Namespaces
from wire import Conduct, conduct

ROOT = Path(__file__).parents[2]
PROGRAM = os.environ["FLARESIM"]
REGIONS = {"a": "US_iowa", "b": "UK_london", "relay": "DE_frankfurt"}
# B waits for half of the round trip over the relay, in which A's way has this much more than B's: A dials 100 ms
# before B does, which is longer than a packet takes from A to B.
LATE_MS = 200
PUNCH_S = 60  # three attempts that are met by silence take half of that


@dataclass(frozen=True)
class Case:
    transport: str
    nat: str  # of both
    asymmetry_ms: int

    def __str__(self):
        return f"{self.transport}-{self.nat}-{self.asymmetry_ms}ms"


@dataclass(frozen=True)
class Ending:
    """Of a hole punch, and how both gateways took part in it."""

    outcome: str
    attempts: int
    gateways: dict


CASES = [Case(transport, nat, asymmetry_ms) for nat in ("linux", "linux-input-drop") for transport in ("quic", "tcp")
         for asymmetry_ms in (LATE_MS, 0)]


def one_way_ms(asymmetry_ms):
    """As the simulator has it: half of the measured round trip, and on A's way to the relay what is extra."""
    with open(ROOT / "topologies/data/rtt10_ms.csv", encoding="utf-8") as file:
        round_trips = {row["region"]: row for row in csv.DictReader(file)}
    delays = {source: {to: float(round_trips[REGIONS[source]][REGIONS[to]]) / 2 for to in REGIONS if to != source}
              for source in REGIONS}
    delays["a"]["relay"] += asymmetry_ms
    return delays


def gateways(capture_of):
    other = {"a": "b", "b": "a"}
    return {home: conduct(capture_of(home), GATEWAYS[home], GATEWAYS[other[home]], PORT) for home in other}


def in_the_kernel(case, folder):
    with Namespaces() as namespaces, ExitStack() as processes:
        homes = Homes(namespaces, processes, PROGRAM, folder, one_way_ms(case.asymmetry_ms), RELAY)
        homes.masquerade(case.nat)
        relay = homes.start_node("relay", case.transport, "--relay-service")
        b = homes.start_node("b", case.transport, "--reserve", relay.address)
        circuit = b.wait_for("reserved")["addresses"][0]
        homes.start_node("a", case.transport, "--dial", circuit, "--punch-wait", f"{PUNCH_S}s")
        punch = b.wait_for("punch", seconds=PUNCH_S)
    return Ending(punch["outcome"], punch["attempts"], gateways(homes.capture))


def in_the_simulator(case, folder):
    settings = {"transports": case.transport, "peers.a.nat": case.nat, "peers.b.nat": case.nat,
                "peers.a.region": REGIONS["a"], "peers.b.region": REGIONS["b"], "relays.region": REGIONS["relay"],
                "relays.asymmetry": f"{case.asymmetry_ms} ms"}
    out = folder / "simulated"
    command = [PROGRAM, "run", str(ROOT / "scenarios/pair.yaml"), "--pcap", "--out", str(out), "--quiet"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, capture_output=True)
    with open(out / "trials.csv", encoding="utf-8") as file:
        trial, = csv.DictReader(file)
    outcome = {"SUCCESS": "punched", "FAILED": "failed"}[trial["outcome"]]
    return Ending(outcome, int(trial["attempts"]), gateways(lambda home: out / f"captures/0-nat-{home}-outside.pcap"))


@pytest.fixture(scope="module")
def in_the_kernel_ended(tmp_path_factory):
    """All cases side by side, the longest ones first: most of their time they wait."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        started = {case: pool.submit(in_the_kernel, case, tmp_path_factory.mktemp("kernel")) for case in CASES}
        yield lambda case: started[case].result()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_kernel_and_the_simulator_agree(case, in_the_kernel_ended, tmp_path):
    assert in_the_kernel_ended(case) == in_the_simulator(case, tmp_path)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_punch_fails_only_late_at_a_router_that_accepts(case, in_the_kernel_ended):
    fails = case.nat == "linux" and case.asymmetry_ms > 0
    assert in_the_kernel_ended(case).outcome == ("failed" if fails else "punched")


def test_a_late_udp_punch_leaves_from_another_port(in_the_kernel_ended):
    ending = in_the_kernel_ended(Case("quic", "linux", LATE_MS))
    assert ending.gateways == {"a": Conduct(False, False), "b": Conduct(True, False)}


def test_a_late_tcp_punch_is_refused_by_both_routers(in_the_kernel_ended):
    ending = in_the_kernel_ended(Case("tcp", "linux", LATE_MS))
    assert ending.gateways == {"a": Conduct(False, True), "b": Conduct(False, True)}
