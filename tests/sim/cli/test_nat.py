"""`flaresim nat list` and `nat show`, and the table that the presets' folder carries."""

import json
import os
import pathlib
import re
import subprocess

import pytest

PROGRAM = os.environ["FLARESIM_PROGRAM"]
SOURCE = pathlib.Path(os.environ["FLARESIM_SOURCE"])
NATS = SOURCE / "topologies" / "nats"


def call(*arguments, program=PROGRAM, **environment):
    return subprocess.run([program, "nat", *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, **environment})


def presets():
    return json.loads(call("list", "--format", "json").stdout)


def test_the_list_names_every_file_once_with_its_grade():
    listed = presets()
    names = [preset["name"] for preset in listed]
    assert sorted(names) == sorted(path.stem for path in NATS.glob("*.yaml") if path.stem != "index")
    assert {preset["grade"] for preset in listed} == {"measured", "documented", "assumed"}
    lines = call("list").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[preset["name"], preset["grade"]] for preset in listed]


def test_every_preset_can_be_shown_and_means_its_inline_form():
    for preset in presets():
        shown = json.loads(call("show", preset["name"], "--format", "json").stdout)
        assert {key: shown[key] for key in preset} == preset
        by_form = json.loads(call("show", preset["inline"], "--format", "json").stdout)
        values = [{axis["key"]: axis["value"] for axis in one["axes"]} for one in (shown, by_form)]
        assert values[0] == values[1], preset["name"]


def test_show_marks_what_is_assumed_and_what_the_text_gives():
    lines = {line.split()[0]: line for line in call("show", "linux,udp_timeout=30s").stdout.splitlines() if line}
    assert lines["preset"].startswith("preset       linux: ")
    assert lines["udp_timeout"].split()[1:3] == ["30s", "given"]
    assert lines["hairpin"].split()[1:3] == ["refuse", "from"]
    assert lines["parity"].split()[1:3] == ["off", "default"]
    assert lines["udp_unreplied_timeout"].split()[1:3] == ["30s", "before"]  # no mark: a source says so


def test_show_of_an_inline_form_has_no_preset():
    shown = json.loads(call("show", "EIM/ADF,hairpin=external", "--format", "json").stdout)
    assert list(shown) == ["inline", "axes"]
    assert {axis["key"]: axis["basis"] for axis in shown["axes"]}["hairpin"] == "given"


@pytest.mark.parametrize("name, says", [
    ("fritzbux", "fritzbux: character 1: unknown NAT 'fritzbux'; did you mean 'fritzbox'?"),
    ("linux,hairpn=off", "linux,hairpn=off: character 7: unknown key 'hairpn'; did you mean 'hairpin'?"),
    ("EIM/XPDF", "EIM/XPDF: character 5"),
])
def test_show_of_what_is_no_nat_is_2(name, says):
    done = call("show", name)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_broken_file_is_2_with_its_place(tmp_path):
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "index.yaml").write_text("[]\n")
    (tmp_path / "nats" / "box.yaml").write_text("name: box\nsumary: x\n")
    for arguments in (["list"], ["show", "box"]):
        done = call(*arguments, FLARESIM_DATA=str(tmp_path))
        assert done.returncode == 2
        assert f"{tmp_path}/nats/box.yaml:2:1: unknown key 'sumary'; did you mean 'summary'?" in done.stderr
    assert call("show", "EIM/APDF", FLARESIM_DATA=str(tmp_path)).returncode == 0


def test_the_table_beside_the_files_is_current():
    table = call("list", "--format", "md").stdout  # probes every preset
    assert (NATS / "README.md").read_text() == table, "write it anew: flaresim nat list --format md"


def test_the_table_shows_that_what_is_seen_is_what_is_declared():
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")]
            for line in (NATS / "README.md").read_text().splitlines() if line.startswith("|")]
    compared = told = 0
    titles = []
    for row in rows:
        if row[0] == "preset":
            titles = row
            continue
        if row[0].startswith("---"):
            continue
        for column in range(1, len(row)):
            if titles[column] != "seen":
                continue
            declared, seen = (re.findall(r"[^ ,]+", re.sub(r"<sup>.*?</sup>", "", cell))
                              for cell in row[column - 1:column + 1])
            if len(seen) > len(declared):  # only there the transports differ: UDP x, TCP y
                declared = ["UDP", *declared, "TCP", *declared]
            if seen != ["—"]:
                assert len(seen) == len(declared), row[0]
                assert all(word in ("—", said) for word, said in zip(seen, declared)), (row[0], declared, seen)
                told += 1
            compared += 1
    assert compared == 5 * len(presets())
    assert told > 0.8 * compared


def test_an_installed_program_reads_the_files_beside_it(tmp_path):
    build = pathlib.Path(PROGRAM).parent
    subprocess.run(["cmake", "--install", str(build), "--prefix", str(tmp_path)], check=True, capture_output=True,
                   timeout=120)
    box = tmp_path / "share" / "flaresim" / "nats" / "open.yaml"
    box.write_text(box.read_text().replace("a public address", "the installed address"))
    environment = {name: value for name, value in os.environ.items() if name != "FLARESIM_DATA"}
    done = subprocess.run([tmp_path / "bin" / "flaresim", "nat", "show", "open"], capture_output=True, text=True,
                          timeout=60, env=environment)
    assert "the installed address" in done.stdout, done.stderr
