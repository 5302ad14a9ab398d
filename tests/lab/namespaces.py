"""Network namespaces: machines of a test's own, with the kernel's real network stack."""

import itertools
import os
import shutil
import subprocess

import pytest

_numbers = itertools.count()


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def must(*command):
    result = run(*command)
    assert result.returncode == 0, f"{' '.join(command)}: {result.stderr}"


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


class Namespaces:
    """Made one by one, and all removed by leaving. Hosts are known by short names, unique within one of these."""

    def __init__(self):
        self._prefix = f"flaresim{os.getpid()}-{next(_numbers)}"
        self._made = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for namespace in self._made:
            run("ip", "netns", "del", namespace)

    def of(self, host):
        return f"{self._prefix}-{host}"

    def make(self, host):
        """Skips the test with the reason where namespaces cannot be made."""
        need("ip")
        made = run("ip", "netns", "add", self.of(host))
        if made.returncode != 0:
            pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        self._made.append(self.of(host))
        self.ip(host, "link", "set", "lo", "up")

    def ip(self, host, *words):
        must("ip", "-n", self.of(host), *words)

    def must(self, host, *command):
        must("ip", "netns", "exec", self.of(host), *command)
