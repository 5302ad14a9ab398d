"""The role trap, as `flaresim run` names it: B's SYN reaches A's listener from a port that A does not dial, so that
both ends of the connection are servers and wait for the other's first word. The mirror has no trap."""

import csv
import io
import json
import os
import pathlib
import subprocess

import pytest

PROGRAM = os.environ["FLARESIM_PROGRAM"]
PAIR = str(pathlib.Path(os.environ["FLARESIM_SOURCE"]) / "scenarios" / "pair.yaml")


def run(folder, nat_a, nat_b, form):
    done = subprocess.run(
        [PROGRAM, "run", PAIR, "--quiet", "--out", str(folder / form), "--format", form, "--trials", "3",
         "--set", f"peers.a.nat={nat_a}", "--set", f"peers.b.nat={nat_b}"],
        check=True, capture_output=True, text=True, timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize("open_nat", ["EIM/EIF", "EIM/ADF", "full-cone"])
@pytest.mark.parametrize("changing_nat", ["APDM/APDF/random", "symmetric"])
def test_an_open_dialler_and_a_symmetric_listener_are_both_servers(tmp_path, open_nat, changing_nat):
    rows = list(csv.DictReader(io.StringIO(run(tmp_path, open_nat, changing_nat, "csv"))))
    assert [(row["outcome"], row["cause"]) for row in rows] == [("FAILED", "both_servers")] * 3
    document = json.loads(run(tmp_path, open_nat, changing_nat, "json"))
    assert document["punch_rate"]["value"] == 0
    assert document["causes"] == {"both_servers": 3}


@pytest.mark.parametrize("open_nat", ["EIM/EIF", "EIM/ADF", "full-cone"])
def test_the_mirror_succeeds(tmp_path, open_nat):
    document = json.loads(run(tmp_path, "APDM/APDF/random", open_nat, "json"))
    assert document["punch_rate"]["value"] == 1
    assert document["causes"] == {}
