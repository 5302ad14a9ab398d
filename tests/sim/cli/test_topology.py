"""`flaresim topology`, and runs of the worlds that it lists, seen from outside."""

import os
import pathlib
import subprocess
import xml.etree.ElementTree

import pytest

PROGRAM = os.environ["FLARESIM_PROGRAM"]
SOURCE = pathlib.Path(os.environ["FLARESIM_SOURCE"])
WORLDS = SOURCE / "topologies" / "worlds"
PAIR = str(SOURCE / "scenarios" / "pair.yaml")
NAMES = sorted(path.stem for path in WORLDS.glob("*.yaml"))


def call(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "FLARESIM_DATA": str(SOURCE / "topologies")})


def test_the_list_has_a_line_for_every_file():
    lines = call("topology", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    assert all(len(line.split()) > 4 for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_is_a_scenario_and_two_pictures(name, tmp_path):
    shown = call("topology", "show", name)
    assert shown.returncode == 0, shown.stderr
    scenario = tmp_path / "shown.yaml"
    scenario.write_text(shown.stdout.split("\n", 2)[2])
    svg = call("topology", "show", name, "--svg").stdout
    assert svg == (WORLDS / f"{name}.svg").read_text()
    texts = [node.text for node in xml.etree.ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert name in texts and "A" in texts and "B" in texts and "Internet" in texts
    assert call("topology", "show", name, "--dot").stdout.startswith(f'graph "{name}" {{')


def test_an_unknown_name_is_answered_with_the_nearest():
    answer = call("topology", "show", "home-hone")
    assert answer.returncode == 2
    assert answer.stderr == "topology home-hone: there is no topology 'home-hone'; did you mean 'home-home'?\n"


def test_all_of_them_run_as_one_sweep(tmp_path):
    done = call("run", PAIR, "--quiet", "--sweep", "topology=all", "--sweep", "transports=tcp,quic", "--format", "csv",
                "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    rows = [line.split(",")[:3] for line in done.stdout.splitlines()[1:]]
    assert rows == [[name, transport, "0"] for name in NAMES for transport in ("tcp", "quic")]


def test_the_folder_of_a_sweep_over_topologies_holds_a_scenario_that_gives_the_same_rows(tmp_path):
    first = call("run", PAIR, "--quiet", "--sweep", "topology=same-cgn,home-home", "--set", "gateways.home-a.nat=symmetric",
                 "--format", "csv", "--out", str(tmp_path / "first"))
    assert first.returncode == 0, first.stderr
    second = call("run", str(tmp_path / "first" / "scenario.yaml"), "--quiet", "--format", "csv", "--out",
                  str(tmp_path / "second"))
    assert second.stdout == first.stdout


def test_captures_and_stories_name_every_box(tmp_path):
    done = call("explain", PAIR, "--trial", "0", "--set", "topology=same-cgn", "--pcap", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "A: NAT fritzbox behind starlink" in done.stdout
    assert any(" cgn " in line and "nat.drop" in line and "hairpin" in line for line in done.stdout.splitlines())
    boxes = {f"0-{box}-{side}.pcap" for box in ("cgn", "home-a", "home-b") for side in ("inside", "outside")}
    assert boxes <= {file.name for file in tmp_path.iterdir()}
