"""The same seed gives the same bytes: rows and captures of whole trials, with any number of worker processes."""

import csv
import io
import os
import pathlib
import struct
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


# Keys of TLS and of QUIC are random, unless told otherwise; those of Noise, and everything else, follow from the seed.
SECURED_BY = {
    "noise": ("--set", "transports=tcp", "--set", "protocol.security=noise"),
    "tls": ("--set", "transports=tcp", "--set", "protocol.security=tls"),
    "quic": ("--set", "transports=quic"),
}


def captured(out, secured_by, *arguments):
    """The packets of three trials in one text, and all files by their name."""
    folder = run(out, FLARE, "--trials", "3", "--pcap", "--keylog", "--qlog", *SECURED_BY[secured_by], *arguments) / "captures"
    files = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
    packets = {name: content for name, content in files.items() if name.endswith(".pcap")}
    assert len(packets) == 3 * 7
    assert all(len(content) > 1000 for content in packets.values())
    return packets, files


def instants_and_sizes(pcap):
    """Of each packet: seconds, nanoseconds, and the two sizes. https://www.tcpdump.org/manpages/pcap-savefile.5.html"""
    trace, at = [], 24
    while at < len(pcap):
        trace.append(struct.unpack_from("<4I", pcap, at))
        at += 16 + trace[-1][2]
    return trace


@pytest.mark.parametrize("secured_by", SECURED_BY)
def test_predictable_keys_make_all_files_the_same_bytes(tmp_path, secured_by):
    files = [
        captured(tmp_path / str(number), secured_by, "--predictable-keys", "--jobs", str(jobs))[1]
        for number, jobs in enumerate(JOBS)
    ]
    assert files[0] == files[1] == files[2] == files[3]
    assert (files[0]["0.keys"] == b"") == (secured_by == "noise")


@pytest.mark.parametrize("secured_by", SECURED_BY)
def test_another_seed_gives_other_packets_and_keys(tmp_path, secured_by):
    one, other = (captured(tmp_path / seed, secured_by, "--predictable-keys", "--seed", seed) for seed in ("1", "2"))
    assert all(one[0][name] != other[0][name] for name in one[0])
    assert secured_by == "noise" or one[1]["0.keys"] != other[1]["0.keys"]


@pytest.mark.parametrize("secured_by", ["tls", "quic"])
def test_each_trial_has_keys_of_its_own(tmp_path, secured_by):
    _, files = captured(tmp_path / "out", secured_by, "--predictable-keys")
    logs = [{line.split()[2] for line in files[f"{index}.keys"].splitlines()} for index in range(3)]
    assert all(logs) and not logs[0] & logs[1] and not logs[1] & logs[2] and not logs[0] & logs[2]


@pytest.mark.parametrize("secured_by", ["tls", "quic"])
def test_random_keys_leave_instants_and_sizes_the_same_but_not_the_bytes(tmp_path, secured_by):
    runs = [captured(tmp_path / str(number), secured_by, "--jobs", str(jobs))[0] for number, jobs in enumerate((1, 2))]
    runs.append(captured(tmp_path / "predictable", secured_by, "--predictable-keys")[0])
    traces = [{name: instants_and_sizes(content) for name, content in packets.items()} for packets in runs]
    assert traces[0] == traces[1] == traces[2]
    assert all(runs[0][name] != runs[1][name] != runs[2][name] for name in runs[0])


def test_predictable_keys_are_warned_of(tmp_path):
    def errors(*arguments):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert done.returncode == 0
        return done.stderr

    pair = str(SCENARIOS / "pair.yaml")
    warning = "warning: --predictable-keys: whoever knows the seed can compute every TLS and QUIC key"
    for command in (["run", pair, "--trials", "1", "--quiet"], ["explain", pair, "--trial", "0"]):
        assert warning in errors(*command, "--predictable-keys")
        assert not errors(*command)


def test_explain_captures_the_trial_that_it_tells(tmp_path):
    _, files = captured(tmp_path / "run", "quic", "--predictable-keys")
    subprocess.run(
        [PROGRAM, "explain", FLARE, "--trial", "2", "--pcap", "--keylog", "--qlog", "--predictable-keys",
         "--out", str(tmp_path / "explained"), *SECURED_BY["quic"]],
        check=True, capture_output=True, timeout=60,
    )
    explained = {file.name: file.read_bytes() for file in (tmp_path / "explained").iterdir()}
    assert explained == {name: content for name, content in files.items() if name.startswith("2")}


def test_the_python_module_leaves_the_randomness_of_its_process_alone():
    """Another library of that process may use GnuTLS for real."""
    symbols = subprocess.run(["nm", "-D", "--defined-only", flaresim.__file__], check=True, capture_output=True, text=True)
    assert "PyInit_flaresim" in symbols.stdout
    assert "gnutls_rnd" not in symbols.stdout
    with pytest.raises(TypeError):
        flaresim.run(FLARE, trials=1, predictable_keys=True)
