"""The module as a researcher meets it: over real trials, read back with Python's own libraries."""

import csv
import io
import os
import pathlib
import signal
import subprocess
import sys
import time

import flaresim
import pytest

SCENARIOS = pathlib.Path(os.environ["FLARESIM_SCENARIOS"])
PROGRAM = os.environ["FLARESIM_PROGRAM"]
SMOKE = str(SCENARIOS / "smoke.yaml")
PAIR = str(SCENARIOS / "pair.yaml")


def test_a_run_returns_one_row_a_trial_in_order():
    result = flaresim.run(SMOKE, trials=4, seed=7)
    assert [row["trial"] for row in result.rows] == [0, 1, 2, 3]
    assert {row["nat_a"] for row in result.rows} == {"port-restricted"}


def test_the_summary_counts_what_the_rows_say():
    result = flaresim.run(SMOKE, trials=6)
    outcomes = [row["outcome"] for row in result.rows]
    summary = result.summary
    assert summary["scenario"] == "smoke"
    assert summary["trials"] == len(outcomes)
    assert {name: n for name, n in summary["outcomes"].items() if n} == {name: outcomes.count(name) for name in outcomes}
    punched = outcomes.count("SUCCESS")
    tried = punched + outcomes.count("FAILED")
    assert summary["punch_rate"]["numerator"] == punched
    assert summary["punch_rate"]["denominator"] == tried
    assert summary["punch_rate"]["value"] == (punched / tried if tried else None)


def test_rows_do_not_depend_on_the_number_of_jobs():
    assert flaresim.run(SMOKE, trials=6, jobs=1).rows == flaresim.run(SMOKE, trials=6, jobs=3).rows


def test_another_seed_gives_other_rows():
    assert flaresim.run(SMOKE, trials=6, seed=1).rows != flaresim.run(SMOKE, trials=6, seed=2).rows


def test_the_program_prints_the_same_rows(tmp_path):
    command = [PROGRAM, "run", SMOKE, "--trials", "3", "--seed", "5", "--format", "csv", "--out", str(tmp_path / "run")]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    expected = flaresim.run(SMOKE, trials=3, seed=5).rows
    assert [row["outcome"] for row in rows] == [row["outcome"] for row in expected]
    for row, other in zip(rows, expected):
        assert (float(row["relayed_after_ms"]) if row["relayed_after_ms"] else None) == other["relayed_after_ms"]


def test_values_are_set_and_swept():
    result = flaresim.run(PAIR, set={"trials": 2}, sweep={"peers.a.nat": ["EIM/APDF", "EIM/EIF"], "ip": [[4]]})
    assert [row["peers.a.nat"] for row in result.rows] == ["EIM/APDF"] * 2 + ["EIM/EIF"] * 2
    assert [cell["set"]["peers.a.nat"] for cell in result.summary["cells"]] == ["EIM/APDF", "EIM/EIF"]
    assert all(cell["trials"] == 2 for cell in result.summary["cells"])


def test_a_frame_has_a_column_a_field():
    frame = flaresim.run(SMOKE, trials=3).frame()
    assert len(frame) == 3
    assert {"trial", "outcome", "nat_a", "direct_after_ms"} <= set(frame.columns)


def test_an_error_in_a_scenario_names_its_place(tmp_path):
    path = tmp_path / "typo.yaml"
    path.write_text("name: typo\npeers:\n  a: {natt: linux}\n  b: {nat: linux}\n")
    with pytest.raises(ValueError, match=rf"{path}:3:7: unknown key 'natt' in peers.a; did you mean 'nat'\?"):
        flaresim.run(str(path))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"trials": 0}, "argument trials=0: expected a whole number from 1"),
        ({"trials": True}, "argument trials=true: expected a whole number"),
        ({"seed": -1}, "argument seed=-1: expected a whole number"),
        ({"set": {"peers.a.nat": "EIM/XPDF"}}, "set peers.a.nat=EIM/XPDF: character 5"),
        ({"sweep": {"peers.a.nat": "linux"}}, "expected a list of values"),
        ({"sweep": {"peers.a.nat": []}}, "a value is empty"),
        ({"jobs": 0}, "jobs: expected 1 to"),
    ],
)
def test_bad_arguments_are_value_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        flaresim.run(SMOKE, **arguments)


def test_a_nat_is_parsed_to_its_canonical_form():
    canonical = flaresim.parse_nat("port-restricted")
    assert flaresim.parse_nat(canonical) == canonical
    with pytest.raises(ValueError, match="character 5"):
        flaresim.parse_nat("EIM/XPDF")


def test_every_preset_can_be_parsed():
    presets = flaresim.nat_presets()
    assert "linux" in presets
    for name, inline in presets.items():
        assert flaresim.parse_nat(name) == flaresim.parse_nat(inline)


def test_an_interrupt_ends_a_run_at_once_and_leaves_no_worker():
    script = (
        "import flaresim, sys\n"
        "print('ready', flush=True)\n"
        f"try:\n    flaresim.run({SMOKE!r}, trials=100000000, jobs=2)\n"
        "except KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "interrupted\n"
    assert children
    assert not any(pathlib.Path(f"/proc/{child}").exists() for child in children)


def test_topologies_are_swept_like_any_key():
    result = flaresim.run(PAIR, sweep={"topology": ["same-lan", "home-home"]})
    assert [(row["topology"], row["outcome"]) for row in result.rows] == [("same-lan", "FAILED"), ("home-home", "SUCCESS")]
    assert [row["nat_a"] for row in result.rows] == ["fritzbox", "fritzbox"]


SMALL_NETWORK = {
    "network.nodes": 30,
    "network.join": "1 min",
    "network.duration": "5 min",
    "network.check_every": "1 min",
    "network.churn.from": "4 min",
    "network.probes": {"count": 10, "at": "2 min", "over": "1 min"},
    "network.pairs": {"peers": 6, "attempts": 2, "from": "2 min", "limit": "1 min"},
}


def test_a_network_has_worlds_and_tells_how_they_came_about():
    runs = [flaresim.run(str(SCENARIOS / "network-1k.yaml"), trials=2, jobs=jobs, set=SMALL_NETWORK) for jobs in (1, 2)]
    assert runs[0].rows == runs[1].rows and runs[0].worlds == runs[1].worlds and runs[0].looks == runs[1].looks
    for number, world in enumerate(runs[0].worlds):
        looks = [look["report"] for look in runs[0].looks if look["world"] == number]
        assert [look["simulated_s"] for look in looks] == [60.0 * minute for minute in range(1, 6)]
        events = [look["events"] for look in looks]
        assert events == sorted(events) and 0 < events[0] < events[-1] <= world["report"]["events"]
        assert looks[-1]["probes"] == world["report"]["probes"] == 10
