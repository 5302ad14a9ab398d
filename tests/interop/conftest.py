import os
from pathlib import Path

import npm
import pytest
from matrix import KEY_TYPES, STACKS, combinations
from report import Report
from world import World


def pytest_addoption(parser):
    parser.addoption("--results", type=Path, metavar="FILE", action="append", default=[],
                     help="write the table of cells between the markers in this Markdown file; repeatable")


def pytest_configure(config):
    config.addinivalue_line("markers", "cell(title): the cell of the table, with the test's parameters")
    config.addinivalue_line("markers", "known_gap(reason): passes when js-libp2p cannot do it, as expected")
    config.report = Report(STACKS, KEY_TYPES)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    item.config.report.add(item, outcome.get_result())


def pytest_sessionfinish(session, exitstatus):
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        for file in session.config.getoption("--results"):
            session.config.report.write(file)


@pytest.fixture(scope="session")
def js():
    return npm.install(Path(os.environ["FLARESIM_INTEROP_DIR"]))


combination = combinations([(stack, key_type) for stack in STACKS for key_type in KEY_TYPES])


@pytest.fixture(scope="module")
def world(combination, js, tmp_path_factory):
    """Peers shared by all the tests of one stack and key type."""
    made = World(os.environ["FLARESIM"], js, tmp_path_factory.mktemp("world"), *combination)
    try:
        made.prepare()
        yield made
    finally:
        made.stop()


@pytest.fixture
def make_world(js, tmp_path):
    """Makes a world with peers of its own; at most one a test."""
    worlds = []

    def make(*combination):
        worlds.append(World(os.environ["FLARESIM"], js, tmp_path, *combination))
        return worlds[-1]

    yield make
    for made in worlds:
        made.stop()


@pytest.fixture
def private_world(combination, make_world):
    return make_world(*combination)
