"""The program as people and CI jobs meet it: exit codes, folders, formats. What it prints is read back by Python's
own parsers."""

import csv
import io
import json
import os
import pathlib
import re
import shlex
import signal
import sqlite3
import subprocess
import time
import xml.etree.ElementTree as ElementTree

import pytest

SCRIPTED = os.environ["FLARESIM_SCRIPTED"]
PROGRAM = os.environ["FLARESIM_PROGRAM"]
SCENARIOS = pathlib.Path(os.environ["FLARESIM_SOURCE"]) / "scenarios"


def scenario(folder, script, trials=None, expect="", name="scripted"):
    path = folder / f"{name}.yaml"
    path.write_text(
        f"name: {name}\ndescription: {script}\ntrials: {trials or len(script)}\n"
        "peers: {a: {nat: EIM/APDF}, b: {nat: linux}}\n" + expect
    )
    return str(path)


def call(folder, *arguments, program=SCRIPTED, **options):
    return subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120, **options
    )


def run(folder, path, *arguments):
    return call(folder, "run", path, "--quiet", *arguments)


def only_result(folder):
    (result,) = (folder / "results").iterdir()
    return result


# Exit codes.


def test_a_run_that_meets_its_expectation_is_fine(tmp_path):
    done = run(tmp_path, scenario(tmp_path, "SSSF", expect="expect: {punch_rate: {at_least: 0.75}}"))
    assert done.returncode == 0
    assert done.stderr == ""
    assert "met: punch_rate 75.0 %" in done.stdout


def test_a_missed_expectation_is_99(tmp_path):
    path = scenario(tmp_path, "SSFF", expect="expect: {punch_rate: {at_least: 0.75}}")
    done = run(tmp_path, path)
    assert done.returncode == 99
    assert "MISSED: punch_rate 50.0 % [15.0, 85.0] of 4 is not at least 0.75" in done.stdout
    assert f"rerun: {shlex.quote(SCRIPTED)} run {path} --quiet" in done.stderr


def test_a_rate_without_a_value_misses_its_expectation(tmp_path):
    done = run(tmp_path, scenario(tmp_path, "RR", expect="expect: {punch_rate: {at_least: 0}}"))
    assert done.returncode == 99


@pytest.mark.parametrize(
    "letter, words",
    [("U", 'a <bad> "day"'), ("K", "killed by SIGKILL (Killed)"), ("T", "a broken invariant")],
)
def test_a_trial_that_goes_wrong_is_3_and_says_how_to_look_at_it(tmp_path, letter, words):
    path = scenario(tmp_path, "SS" + letter + "S", expect="expect: {punch_rate: {at_least: 1}}")
    done = run(tmp_path, path, "--seed", "9", "--set", "observers=2")
    assert done.returncode == 3
    assert f"1 of 4 trials went wrong, the first with: " in done.stderr
    assert words in done.stderr
    assert f"explain: {shlex.quote(SCRIPTED)} explain {path} --trial 2 --seed 9 --set observers=2" in done.stderr
    assert re.search(r"SUCCESS +3 +75.0 %", done.stdout)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "subcommand is required"),
        (["walk"], "subcommand is required"),
        (["run"], "FILE is required"),
        (["run", "SCENARIO", "--format", "pdf"], "--format"),
        (["run", "SCENARIO", "--jobs", "0"], "--jobs"),
        (["run", "SCENARIO", "--jobs", "many"], "--jobs"),
        (["run", "SCENARIO", "--frobnicate"], "--frobnicate"),
        (["run", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["run", "SCENARIO", "--trials", "0"], "--trials trials=0: expected a whole number from 1 to"),
        (["run", "SCENARIO", "--seed", "x"], "--seed seed=x: expected a whole number from 0"),
        (["run", "SCENARIO", "--set", "trials"], "--set trials: expected KEY=VALUE"),
        (["run", "SCENARIO", "--set", "peers.a.natt=x"], "unknown key 'natt' in peers.a; did you mean 'nat'?"),
        (["run", "SCENARIO", "--sweep", "trials=1,,2"], "--sweep trials: a value is empty"),
        (["run", "SCENARIO", "--sweep", "peers.a.nat=EIM/XPDF,linux"], "--sweep peers.a.nat=EIM/XPDF: character 5"),
        (["explain", "SCENARIO"], "--trial is required"),
        (["nat", "show", "EIM/XPDF"], "EIM/XPDF: character 5"),
    ],
)
def test_bad_usage_is_2_and_prints_nothing_on_stdout(tmp_path, arguments, words):
    path = scenario(tmp_path, "S")
    done = call(tmp_path, *[path if word == "SCENARIO" else word for word in arguments])
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "results").exists()


def test_a_bad_scenario_is_2_and_names_the_place(tmp_path):
    path = scenario(tmp_path, "S", expect="trails: 3")
    done = run(tmp_path, path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}:5:1: unknown key 'trails'; did you mean 'trials'?\n")


def test_an_output_folder_that_cannot_be_made_is_1(tmp_path):
    (tmp_path / "file").write_text("")
    done = run(tmp_path, scenario(tmp_path, "S"), "--out", "file/x")
    assert done.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_130_keeps_its_rows_and_is_continued(tmp_path, number):
    path = scenario(tmp_path, "SSFWSS")
    process = subprocess.Popen(
        [SCRIPTED, "run", path, "--jobs", "1", "--quiet", "--format", "json", "--out", "out"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    # The folder is there before the first trial; three short trials later the fourth one never ends.
    while not (tmp_path / "out" / "manifest.json").exists():
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"rerun: {shlex.quote(SCRIPTED)} run {path}" in stderr
    document = json.loads(stdout)
    assert document["interrupted"] is True
    assert (document["trials"], document["planned_trials"]) == (3, 6)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["state"] == "interrupted"
    with open(tmp_path / "out" / "trials.csv", newline="") as file:
        assert [row["outcome"] for row in csv.DictReader(file)] == ["SUCCESS", "SUCCESS", "FAILED"]


def test_an_unfinished_run_goes_on_where_it_stopped(tmp_path):
    path = scenario(tmp_path, "SSFKSSRN", trials=200)
    assert run(tmp_path, path, "--out", "whole").returncode == 3
    run(tmp_path, path, "--out", "cut")
    database = sqlite3.connect(tmp_path / "cut" / "trials.sqlite")
    database.execute("DELETE FROM trials WHERE trial >= 70")
    database.commit()
    database.close()
    (tmp_path / "cut" / "trials.csv").unlink()
    again = run(tmp_path, path, "--out", "cut")
    assert again.returncode == 3
    assert json.loads((tmp_path / "cut" / "manifest.json").read_text())["trials_before"] == 70
    for name in ("trials.csv", "summary.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_folder_with_another_run_is_refused(tmp_path):
    path = scenario(tmp_path, "SS")
    assert run(tmp_path, path, "--out", "out").returncode == 0
    before = (tmp_path / "out" / "trials.csv").read_bytes()
    refused = run(tmp_path, path, "--out", "out", "--seed", "2")
    assert refused.returncode == 2
    assert "another scenario, seed or build" in refused.stderr
    assert (tmp_path / "out" / "trials.csv").read_bytes() == before


# What a run leaves behind.


def test_a_folder_holds_everything_that_a_run_found(tmp_path):
    path = scenario(tmp_path, "SF")
    assert run(tmp_path, path, "--seed", "7", "--set", "observers=3").returncode == 0
    folder = only_result(tmp_path)
    assert folder.name.startswith("scripted-20")
    assert sorted(file.name for file in folder.iterdir()) == [
        "manifest.json", "scenario.yaml", "summary.json", "trials.csv", "trials.sqlite",
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["seed"] == 7
    assert manifest["state"] == "complete"
    assert manifest["command_line"].endswith(f"run {path} --quiet --seed 7 --set observers=3")
    assert manifest["started"] <= manifest["ended"]
    assert manifest["ns3"] == "3.37" and manifest["compiler"] and manifest["version"]
    assert json.loads((folder / "summary.json").read_text())["trials"] == 2


def test_the_resolved_scenario_gives_the_same_rows(tmp_path):
    path = scenario(tmp_path, "SFM")
    first = run(tmp_path, path, "--seed", "7", "--set", "observers=3", "--format", "csv")
    again = run(tmp_path, str(only_result(tmp_path) / "scenario.yaml"), "--format", "csv")
    assert again.returncode == 0
    assert again.stdout == first.stdout


def test_runs_in_one_second_get_folders_of_their_own(tmp_path):
    path = scenario(tmp_path, "S")
    for _ in range(3):
        assert run(tmp_path, path).returncode == 0
    assert len(list((tmp_path / "results").iterdir())) == 3


def test_sqlite_has_a_typed_row_a_trial(tmp_path):
    run(tmp_path, scenario(tmp_path, "SF"), "--out", "out")
    database = sqlite3.connect(tmp_path / "out" / "trials.sqlite")
    rows = database.execute("SELECT trial, outcome, relayed_after_ms, attempts FROM trials ORDER BY trial").fetchall()
    assert rows == [(0, "SUCCESS", 123.456789, 1), (1, "FAILED", None, 3)]


@pytest.mark.parametrize("option", ["--pcap", "--keylog", "--qlog"])
def test_captures_have_a_folder(tmp_path, option):
    run(tmp_path, scenario(tmp_path, "S"), "--out", "out", option, "--sweep", "seed=1,2")
    assert sorted(folder.name for folder in (tmp_path / "out" / "captures").iterdir()) == ["0", "1"]


def test_rows_do_not_depend_on_the_number_of_jobs(tmp_path):
    path = scenario(tmp_path, "MFMK", trials=60)
    outputs = {run(tmp_path, path, "--jobs", str(jobs), "--format", "csv").stdout for jobs in (1, 2, 5)}
    assert len(outputs) == 1
    files = {(folder / "trials.csv").read_bytes() for folder in (tmp_path / "results").iterdir()}
    assert files == {outputs.pop().encode()}


# Formats.


def rate(numerator, denominator):
    return {"numerator": numerator, "denominator": denominator}


def test_json_is_one_document_with_counts_and_rates(tmp_path):
    done = run(tmp_path, scenario(tmp_path, "SSSFRN"), "--format", "json", "--seed", "18446744073709551615")
    document = json.loads(done.stdout)
    assert document["scenario"] == "scripted"
    assert document["seed"] == 18446744073709551615
    assert document["trials"] == 6
    assert document["outcomes"] == {
        "SUCCESS": 3, "CONNECTION_REVERSED": 1, "FAILED": 1, "NO_STREAM": 1,
        "NO_CONNECTION": 0, "CANCELLED": 0, "UNKNOWN": 0,
    }
    assert document["causes"] == {"silence": 1}
    assert document["punch_rate"].items() >= {**rate(3, 4), "value": 0.75}.items()
    assert document["direct_rate"].items() >= {**rate(4, 6), "value": 4 / 6}.items()
    # Independent arithmetic: the roots of (p - x)^2 = z^2 x (1 - x) / n.
    for shown in (document["punch_rate"], document["direct_rate"]):
        for bound in (shown["low"], shown["high"]):
            error = (shown["value"] - bound) ** 2 - 1.959963984540054**2 * bound * (1 - bound) / shown["denominator"]
            assert abs(error) < 1e-12
    assert [(group["nat_a"], group["nat_b"], group["trials"]) for group in document["groups"]] == [
        ("EIM/APDF", "linux", 6)
    ]
    assert set(document["build"]) >= {"version", "ns3", "compiler", "git"}
    assert "cells" not in document


def test_json_has_null_rates_when_nothing_was_punched(tmp_path):
    document = json.loads(run(tmp_path, scenario(tmp_path, "RN"), "--format", "json").stdout)
    assert document["punch_rate"] == {"value": None, "low": None, "high": None, "interval": "wilson", "worlds": 0, **rate(0, 0)}
    assert document["direct_rate"]["value"] == 0.5


def test_json_of_a_sweep_has_a_cell_a_combination(tmp_path):
    done = run(
        tmp_path, scenario(tmp_path, "SF"), "--format", "json",
        "--sweep", "peers.a.nat=EIM/APDF,udp_timeout=30s,linux", "--sweep", "trials=1,2",
    )
    document = json.loads(done.stdout)
    assert [cell["set"] for cell in document["cells"]] == [
        {"peers.a.nat": nat, "trials": trials} for nat in ("EIM/APDF,udp_timeout=30s", "linux") for trials in ("1", "2")
    ]
    assert [cell["punch_rate"]["value"] for cell in document["cells"]] == [1, 0.5, 1, 0.5]
    assert document["trials"] == 6
    assert document["punch_rate"].items() >= rate(4, 6).items()
    assert set(document["cells"][0]) - {"set", "phases"} <= set(document)


def test_csv_has_a_row_a_trial(tmp_path):
    done = run(tmp_path, scenario(tmp_path, "SFU"), "--format", "csv", "--sweep", "peers.a.nat=linux;EIM/EIF,udp_timeout=9s")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["peers.a.nat"], row["trial"], row["outcome"]) for row in rows] == [
        (nat, str(trial), outcome)
        for nat in ("linux", "EIM/EIF,udp_timeout=9s")
        for trial, outcome in enumerate(("SUCCESS", "FAILED", "UNKNOWN"))
    ]
    assert rows[0]["relayed_after_ms"] == "123.456789"
    assert rows[1]["relayed_after_ms"] == ""
    assert rows[2]["error"] == 'a <bad> "day"'


def test_junit_has_a_case_a_cell_and_expectation(tmp_path):
    path = scenario(tmp_path, "SF", expect="expect: {punch_rate: {at_least: 0.4}, direct_rate: {at_most: 0.4}}")
    done = run(tmp_path, path, "--format", "junit", "--sweep", "peers.a.nat=linux,open")
    assert done.returncode == 99
    suite = ElementTree.fromstring(done.stdout).find("testsuite")
    assert suite.attrib == {"name": "scripted", "tests": "6", "failures": "2", "errors": "0"}
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert list(cases) == [
        f"peers.a.nat={nat}: {what}"
        for nat in ("linux", "open")
        for what in ("trials", "punch_rate at least 0.4", "direct_rate at most 0.4")
    ]
    assert cases["peers.a.nat=linux: punch_rate at least 0.4"].find("failure") is None
    failure = cases["peers.a.nat=linux: direct_rate at most 0.4"].find("failure")
    assert failure.get("message") == "direct_rate 50.0 % [9.5, 90.5] of 2 is not at most 0.4"
    assert "silence: 1 (50.0 %)" in failure.text
    assert f"rerun: {shlex.quote(SCRIPTED)} run {path}" in failure.text


def test_junit_shows_trials_that_went_wrong(tmp_path):
    done = run(tmp_path, scenario(tmp_path, "SU"), "--format", "junit")
    suite = ElementTree.fromstring(done.stdout).find("testsuite")
    assert suite.get("errors") == "1"
    assert suite.find("testcase/error").get("message") == "1 of 2 trials went wrong"


def test_markdown_is_a_table_of_cells(tmp_path):
    done = run(tmp_path, scenario(tmp_path, "SF"), "--format", "md", "--sweep", "peers.a.nat=linux,open")
    assert done.stdout.startswith("## scripted\n\n4 trials, seed 1.\n")
    assert "| linux | 2 | 1 of 2 | 50.0 % | [9.5, 90.5] | 50.0 % | [9.5, 90.5] |" in done.stdout


def test_markdown_fits_into_a_job_summary(tmp_path):
    seeds = ",".join(str(seed) for seed in range(1500))
    path = scenario(tmp_path, "F", expect="expect: {punch_rate: {at_least: 1}}")
    done = run(tmp_path, path, "--format", "md", "--sweep", f"seed={seeds}")
    assert len(done.stdout.encode()) <= 60_000
    assert "more rows are in the run's summary.json" in done.stdout
    assert "Expectations: 0 met, 1500 missed." in done.stdout


def test_text_shows_both_rates_with_their_denominators(tmp_path):
    done = run(tmp_path, scenario(tmp_path, "SSSFRN"))
    assert "punch_rate    75.0 %  [30.1, 95.4]   3 of 4           SUCCESS / (SUCCESS + FAILED)" in done.stdout
    assert "direct_rate   66.7 %  [30.0, 90.3]   4 of 6           (SUCCESS + CONNECTION_REVERSED) / all" in done.stdout


# A scenario's own sweep.

SWEEP = """sweep:
  peers.a.nat: [linux, "EIM/EIF,udp_timeout=9s"]
expect:
  - {when: {peers.a.nat: linux}, punch_rate: {at_least: 0.5}}
  - {when: {peers.a.nat: "EIM/EIF,udp_timeout=9s"}, punch_rate: {at_most: 0.4}}
"""
VALUES = "peers.a.nat=linux,EIM/EIF,udp_timeout=9s"


@pytest.mark.parametrize("form", ["text", "json", "csv", "md", "junit"])
def test_a_scenarios_own_sweep_is_as_if_from_the_command_line(tmp_path, form):
    expect = "expect: {punch_rate: {at_least: 0.5}}"
    own = scenario(tmp_path, "SF", expect="sweep: {peers.a.nat: [linux, 'EIM/EIF,udp_timeout=9s']}\n" + expect)
    mine = run(tmp_path, own, "--format", form)
    given = run(tmp_path, scenario(tmp_path, "SF", expect=expect), "--format", form, "--sweep", VALUES)
    assert mine.returncode == given.returncode == 0
    if form == "md":  # ends with the command line
        mine.stdout, given.stdout = (text.split("```")[0] for text in (mine.stdout, given.stdout))
    assert mine.stdout == given.stdout


def test_each_cell_is_held_against_its_own_expectations(tmp_path):
    done = run(tmp_path, scenario(tmp_path, "SF", expect=SWEEP))
    assert done.returncode == 99
    assert "met: punch_rate 50.0 % [9.5, 90.5] of 2 is at least 0.5 (peers.a.nat=linux)" in done.stdout
    assert (
        "MISSED: punch_rate 50.0 % [9.5, 90.5] of 2 is not at most 0.4 (peers.a.nat=EIM/EIF,udp_timeout=9s)"
        in done.stdout
    )
    assert "note:" not in done.stdout


def test_what_the_command_line_leaves_out_is_said(tmp_path):
    path = scenario(tmp_path, "SF", expect=SWEEP)
    for option in ("--set", "--sweep"):
        done = run(tmp_path, path, option, "peers.a.nat=linux")
        assert done.returncode == 0, done.stderr
        assert f"note: {option} replaces the scenario's own sweep of peers.a.nat\n" in done.stdout
        assert "note: not applicable: punch_rate at most 0.4 when peers.a.nat=EIM/EIF,udp_timeout=9s\n" in done.stdout


def test_a_condition_that_no_cell_meets_is_2(tmp_path):
    path = scenario(tmp_path, "S", expect="expect: [{when: {seed: 3}, punch_rate: {at_least: 0}}]\nseed: 2")
    done = run(tmp_path, path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}:5:18: no cell meets these conditions\n")


def test_the_resolved_scenario_has_the_sweep_of_the_command_line(tmp_path):
    first = run(tmp_path, scenario(tmp_path, "SF", expect=SWEEP), "--sweep", "seed=4,5", "--format", "csv")
    again = run(tmp_path, str(only_result(tmp_path) / "scenario.yaml"), "--format", "csv")
    assert again.returncode == first.returncode == 99
    assert again.stdout == first.stdout


def test_explain_says_which_cell_it_tells_of(tmp_path):
    path = scenario(tmp_path, "SF", expect=SWEEP)
    done = call(tmp_path, "explain", path, "--trial", "1")
    assert "choose a cell with --set peers.a.nat=" in done.stderr
    done = call(tmp_path, "explain", path, "--trial", "1", "--set", "peers.a.nat=linux")
    assert done.stderr == ""
    assert "A: NAT linux" in done.stdout


# Networks.


def network(folder, script, worlds, attempts=4, expect=""):
    path = folder / "net.yaml"
    path.write_text(
        f"name: net\ndescription: {script}\ntrials: {worlds}\n"
        f"network: {{nodes: 50, peers: {{nat: linux}}, pairs: {{attempts: {attempts}}}}}\n" + expect
    )
    return str(path)


def test_a_network_has_a_row_an_attempt_and_a_row_a_world(tmp_path):
    done = run(tmp_path, network(tmp_path, "SFSS", 3), "--format", "json", "--out", "out")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["trials"] == 12
    assert document["planned_worlds"] == 3
    assert document["punch_rate"].items() >= {**rate(9, 12), "interval": "clustered", "worlds": 3}.items()
    assert [world["report"]["nodes"] for world in document["worlds"]] == [50, 50, 50]
    assert document["true_closest_rate"].items() >= rate(27, 30).items()
    with open(tmp_path / "out" / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["world"], row["trial"]) for row in rows] == [(str(i // 4), str(i)) for i in range(12)]
    with open(tmp_path / "out" / "worlds.csv", newline="") as file:
        assert [row["lookup_took_s_median"] for row in csv.DictReader(file)] == ["0.500000"] * 3
    database = sqlite3.connect(tmp_path / "out" / "trials.sqlite")
    assert database.execute("SELECT world, nodes, lookup_took_s_p90 FROM worlds").fetchall() == [
        (i, 50, 0.9) for i in range(3)
    ]
    joined = "SELECT count(*) FROM trials JOIN worlds USING (cell, world) WHERE json_extract(report, '$.probes') = 10"
    assert database.execute(joined).fetchone() == (12,)


def test_the_interval_across_worlds_is_that_of_an_independent_computation(tmp_path):
    done = run(tmp_path, network(tmp_path, "SFFFSS", 5, attempts=3), "--format", "json", "--out", "out")
    with open(tmp_path / "out" / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    worlds = [[row["outcome"] == "SUCCESS" for row in rows if row["world"] == str(i)] for i in range(5)]
    n = [len(world) for world in worlds]
    y = [sum(world) for world in worlds]
    p = sum(y) / sum(n)
    variance = 5 / 4 * sum((a - p * b) ** 2 for a, b in zip(y, n)) / sum(n) ** 2
    effective = min(sum(n), p * (1 - p) / variance)
    shown = json.loads(done.stdout)["direct_rate"]
    for bound in (shown["low"], shown["high"]):
        assert abs((p - bound) ** 2 - 2.7764451051977987**2 * bound * (1 - bound) / effective) < 1e-9


def test_one_world_says_that_its_interval_is_within_it(tmp_path):
    done = run(tmp_path, network(tmp_path, "SFSS", 1))
    assert "net: 4 attempts in 1 world, seed 1" in done.stdout
    assert "within the one world only" in done.stdout


def test_networks_do_not_depend_on_the_number_of_jobs(tmp_path):
    path = network(tmp_path, "MFMK", 30)
    outputs = {run(tmp_path, path, "--jobs", str(jobs), "--format", "json").stdout for jobs in (1, 3)}
    assert len(outputs) == 1


@pytest.mark.parametrize("letter, words", [("K", "killed by SIGKILL (Killed)"), ("T", "a broken invariant")])
def test_a_world_that_goes_wrong_is_3_and_costs_that_world(tmp_path, letter, words):
    done = run(tmp_path, network(tmp_path, "SF" + letter, 3, attempts=1), "--format", "json", "--out", "out")
    assert done.returncode == 3
    assert "1 of 3 worlds went wrong, the first with: " in done.stderr and words in done.stderr
    assert "--pair 0 --world 2" in done.stderr
    document = json.loads(done.stdout)
    assert document["trials"] == 2
    assert document["worlds"][2]["report"] is None and words in document["worlds"][2]["error"]


def test_a_run_of_networks_goes_on_with_the_next_world(tmp_path):
    path = network(tmp_path, "SFSSFF", 6)
    assert run(tmp_path, path, "--out", "whole").returncode == 0
    run(tmp_path, path, "--out", "cut")
    database = sqlite3.connect(tmp_path / "cut" / "trials.sqlite")
    database.execute("DELETE FROM worlds WHERE world >= 2")
    database.execute("DELETE FROM trials WHERE trial >= 10")
    database.commit()
    database.close()
    assert run(tmp_path, path, "--out", "cut").returncode == 0
    assert json.loads((tmp_path / "cut" / "manifest.json").read_text())["trials_before"] == 2
    for name in ("trials.csv", "worlds.csv", "looks.csv", "summary.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_world_that_is_killed_leaves_what_it_had_come_to(tmp_path):
    run(tmp_path, network(tmp_path, "SK", 2, attempts=1), "--jobs", "1", "--out", "out")
    database = sqlite3.connect(tmp_path / "out" / "trials.sqlite")
    assert database.execute("SELECT world, simulated_s, probes FROM looks ORDER BY world").fetchall() == [
        (0, 1800.0, 0), (1, 1800.0, 0)]
    assert database.execute("SELECT world, simulated_s, probes FROM worlds ORDER BY world").fetchall() == [
        (0, 3600.0, 10), (1, None, None)]
    with open(tmp_path / "out" / "looks.csv", newline="") as file:
        assert [(row["world"], row["simulated_s"]) for row in csv.DictReader(file)] == [("0", "1800.000000"), ("1", "1800.000000")]


def test_networks_are_held_against_rates_of_their_own(tmp_path):
    path = network(tmp_path, "SFSS", 2, expect="expect: {true_closest_rate: {at_least: 0.99}}")
    done = run(tmp_path, path)
    assert done.returncode == 99
    assert "MISSED: true_closest_rate 90.0 %" in done.stdout


def test_explain_tells_of_a_pair_of_a_world(tmp_path):
    path = network(tmp_path, "SF", 2)
    done = call(tmp_path, "explain", path, "--world", "1", "--pair", "2")
    assert done.returncode == 0
    assert done.stdout.startswith("world 1, pair 2\nnet, seed 1, trial 6\n")
    assert "nat.drop" in done.stdout
    for arguments, words in (
        (["--trial", "1"], "--world and --pair are required"),
        (["--world", "0", "--pair", "4"], "--pair 4: world 0 has 4 attempts"),
        (["--world", "0", "--pair", "1", "--pcap"], "not of networks"),
    ):
        done = call(tmp_path, "explain", path, *arguments)
        assert done.returncode == 2 and words in done.stderr
    done = call(tmp_path, "explain", scenario(tmp_path, "S"), "--world", "0", "--pair", "0")
    assert done.returncode == 2 and "--trial is required" in done.stderr


# Progress, and the other commands.


def test_progress_without_a_terminal_is_plain_lines_on_stderr(tmp_path):
    done = call(tmp_path, "run", scenario(tmp_path, "SF"), "--format", "json")
    assert "2/2 trials" in done.stderr
    assert "\x1b" not in done.stderr and "\r" not in done.stderr
    json.loads(done.stdout)


@pytest.mark.parametrize("no_color", ["", "1"])
def test_progress_on_a_terminal_is_a_bar_without_colours_when_asked(tmp_path, no_color):
    try:
        parent, child = os.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminals here: {error}")
    environment = {**os.environ, "NO_COLOR": no_color}
    process = subprocess.Popen(
        [SCRIPTED, "run", scenario(tmp_path, "SF")],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=child, env=environment,
    )
    os.close(child)
    assert process.wait(timeout=60) == 0
    shown = os.read(parent, 65536).decode()
    os.close(parent)
    assert "2/2 trials" in shown
    assert ("\x1b[32m" in shown) == (no_color == "")


def test_explain_tells_the_story_of_a_trial(tmp_path):
    done = call(tmp_path, "explain", scenario(tmp_path, "SF"), "--trial", "1", "--seed", "4")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "scripted, seed 4, trial 1",
        "A: NAT EIM/APDF, access none",
        "B: NAT linux, access none",
        "",
        "      1.500 ms  A      dial      192.0.2.1:4001",
        "     20.000 ms  nat-b  nat.drop  no filter lets it in",
        "",
        "FAILED after 3 attempts: every dial of the last attempt ran into its time limit without an answer (silence)",
    ]


def test_explain_of_a_trial_that_goes_wrong_is_3(tmp_path):
    done = call(tmp_path, "explain", scenario(tmp_path, "U"), "--trial", "0")
    assert done.returncode == 3
    assert 'error: a <bad> "day"' in done.stdout


def test_nat_list_and_show_agree(tmp_path):
    listed = call(tmp_path, "nat", "list").stdout.splitlines()
    names = [line.split()[0] for line in listed]
    assert {"full-cone", "address-restricted", "port-restricted", "symmetric", "open", "udp-blocked", "linux"} <= set(names)
    for name in names:
        shown = call(tmp_path, "nat", "show", name)
        assert shown.returncode == 0
        assert shown.stdout.startswith("inline form")


def test_version_and_help_are_fine(tmp_path):
    version = call(tmp_path, "--version")
    assert version.returncode == 0
    assert version.stdout.startswith("flaresim 0.") and "ns-3 3.37" in version.stdout
    assert call(tmp_path, "run", "--help").returncode == 0


def test_the_real_program_runs_the_smoke_scenario(tmp_path):
    done = call(tmp_path, "run", str(SCENARIOS / "smoke.yaml"), "--format", "json", program=PROGRAM)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 10
