"""js-libp2p and the Node.js that runs it, as the lock file pins them, installed beside the build."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PATIENCE_S = 300


class JsLibp2p:
    """The programs `node` and `program`."""

    def __init__(self, folder):
        machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        self.node = str(folder / f"node_modules/node-linux-{machine}/bin/node")
        self.program = str(folder / "js_peer.mjs")


def install(folder):
    """Skips with the reason when npm or its registry is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [HERE / "package.json", HERE / "package-lock.json"]
    stamp = folder / "installed"
    shutil.copy(HERE / "js_peer.mjs", folder)
    pinned = "".join(file.read_text() for file in wanted)
    if not (stamp.exists() and stamp.read_text() == pinned):
        for file in wanted:
            shutil.copy(file, folder)
        run_npm(folder)
        stamp.write_text(pinned)
    js = JsLibp2p(folder)
    if not os.access(js.node, os.X_OK):
        pytest.skip(f"no Node.js package for this machine ({platform.machine()})")
    return js


def run_npm(folder):
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    # Not `npm ci`: that refuses a lock file which lacks the native packages of platforms other than this one,
    # as registry mirrors may. No package here needs its install script.
    command = ["npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
               "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not get js-libp2p within {PATIENCE_S} s")
    if done.returncode != 0:
        pytest.skip(f"npm could not get js-libp2p: {' '.join(done.stderr.split())[:300]}")
