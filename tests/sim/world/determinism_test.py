"""The same seed gives the same bytes: rows and captures of whole trials, with any number of worker processes."""

import csv
import io
import os
import pathlib
import subprocess

import flaresim
import pytest

PROGRAM = os.environ["FLARESIM_PROGRAM"]
SCENARIOS = pathlib.Path(os.environ["FLARESIM_SOURCE"]) / "scenarios"
FLARE = str(SCENARIOS / "flare-2022.yaml")
RACE = "[tcp, quic]"  # both transports at once, in place of the scenario's own sweep
TRIALS = 60
JOBS = (1, 2, 1, 2)


def run(out, scenario, *arguments):
    # 60 trials may miss the expectation of a thousand.
    done = subprocess.run(
        [PROGRAM, "run", str(scenario), "--quiet", "--out", str(out), *arguments],
        check=False, capture_output=True, timeout=300,
    )
    assert done.returncode in (0, 99), done.stderr
    return out


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """trials.csv of the same run, with one worker and with two, twice each."""
    folder = tmp_path_factory.mktemp("rows")
    return [
        (run(folder / str(number), FLARE, "--set", f"transports={RACE}", "--trials", str(TRIALS),
             "--jobs", str(jobs)) / "trials.csv").read_bytes()
        for number, jobs in enumerate(JOBS)
    ]


def test_rows_are_the_same_bytes_with_one_worker_and_with_two_twice(rows):
    assert rows[0].count(b"\n") == TRIALS + 1
    assert len(set(rows)) == 1


def test_another_seed_gives_other_rows(rows, tmp_path):
    other = run(tmp_path / "other", FLARE, "--set", f"transports={RACE}", "--trials", str(TRIALS), "--seed", "2") / "trials.csv"
    assert other.read_bytes() != rows[0]


def test_a_trial_does_not_depend_on_how_many_come_with_it(rows, tmp_path):
    few = (run(tmp_path / "few", FLARE, "--set", f"transports={RACE}", "--trials", "7") / "trials.csv").read_bytes()
    assert rows[0].startswith(few)


def test_python_gives_the_same_rows_with_one_worker_and_with_two_twice(rows):
    runs = [flaresim.run(FLARE, trials=TRIALS, jobs=jobs, set={"transports": RACE}).rows for jobs in JOBS]
    assert runs[0] == runs[1] == runs[2] == runs[3]
    printed = csv.DictReader(io.StringIO(rows[0].decode()))
    assert [row["outcome"] for row in runs[0]] == [row["outcome"] for row in printed]


def test_captures_are_the_same_bytes_over_runs_and_workers(tmp_path):
    runs = [
        run(tmp_path / str(number), SCENARIOS / "smoke.yaml", "--trials", "4", "--pcap", "--jobs", str(jobs))
        for number, jobs in enumerate(JOBS)
    ]
    captures = [{file.name: file.read_bytes() for file in (out / "captures").iterdir()} for out in runs]
    assert len(captures[0]) == 4 * 7
    assert all(len(content) > 1000 for content in captures[0].values())
    assert captures[0] == captures[1] == captures[2] == captures[3]
