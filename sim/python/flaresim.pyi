"""How often do peers behind NATs get a direct connection? Real protocol code in a simulated network."""

from typing import Any, Mapping, Optional, Sequence, Union

import pandas

__version__: str

class Result:
    """What a run found."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a trial, cell after cell, in the order of the index: the values of the sweep, then
        `trial`, `outcome`, `cause`, `error`, `nat_a`, `region_a`, … Durations end in `_ms`; None where there is none.
        From a cold start, `verdict_a` and `verdict_b` are what the peers took themselves for (`public`, `private`,
        `unknown`), `truth_a` and `truth_b` what they were, and `phase_1_1_ms` to `phase_2_2_ms` how long each phase took.
        Of a network, a row is an attempt of a pair, and `world` the number of the world that it shares with others.
        """
    @property
    def worlds(self) -> list[dict[str, Any]]:
        """One dictionary a world of a network, cell after cell: the values of the sweep, `world`, `error`, and `report`,
        which is None when the world went wrong. A report has numbers (`nodes`, `false_public`, `relays`, …),
        distributions as dictionaries of `count`, `mean`, `median`, `p90` and `max` (`lookup_took_s`, `lookup_hops`,
        `relay_reservations`, …), `verdicts` by kind of NAT, `refused` by status code, and `kill`. Empty without a network.
        """
    @property
    def looks(self) -> list[dict[str, Any]]:
        """What the worlds had come to at each look (`network.check_every`), world after world: dictionaries as those of
        `worlds`, whose report tells at `simulated_s` how much of the world it is of.
        """
    @property
    def summary(self) -> dict[str, Any]:
        """`scenario`, `seed`, `trials`, `outcomes`, `causes`, `punch_rate`, `direct_rate`, `phases`, `groups`,
        `expectations`, `build`, of a network also `worlds`, `true_closest_rate`, `true_verdict_rate` and `reserved_rate`,
        and with a sweep `cells`. Rates are dictionaries of `value`, `low`, `high`, `numerator`, `denominator`,
        `interval` and `worlds`. The interval is one at 95 %: `wilson` of independent trials, `clustered` by world of a
        network, or `within-world` where there is one world only, so that nothing shows how worlds differ.
        """
    def frame(self) -> pandas.DataFrame:
        """The rows as a data frame. Needs pandas."""

def run(
    path: str,
    trials: Optional[int] = None,
    seed: Optional[int] = None,
    set: Mapping[str, Any] = {},
    jobs: int = 1,
    sweep: Mapping[str, Sequence[Any]] = {},
) -> Result:
    """Runs a scenario file.

    `set` gives keys of the scenario other values (`{"peers.a.nat": "EIM/APDF"}`); `sweep` makes one cell for each
    combination of values. Trials run in `jobs` forked worker processes; rows do not depend on their number.

    Raises ValueError with `file:line:column: message` for a scenario that cannot be understood, RuntimeError when
    no worker can be started, and KeyboardInterrupt as soon as it is asked for. A trial that goes wrong raises nothing:
    its row has the outcome `UNKNOWN` and says why in `error`. Of a network, `trials` is a number of worlds; one that goes
    wrong has no rows, and says why in its `error`.
    """

def parse_nat(text: str) -> str:
    """The canonical inline form of a NAT's preset name or inline form. Raises ValueError that names the offending
    character."""

def nat_presets() -> dict[str, str]:
    """Names of the presets, with their inline forms."""
