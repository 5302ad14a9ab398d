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
        """
    @property
    def summary(self) -> dict[str, Any]:
        """`scenario`, `seed`, `trials`, `outcomes`, `causes`, `punch_rate`, `direct_rate`, `groups`,
        `expectations`, `build`, and with a sweep `cells`. Rates are dictionaries of `value`, `low`, `high`,
        `numerator` and `denominator`, the interval at 95 % after Wilson.
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
    its row has the outcome `UNKNOWN` and says why in `error`.
    """

def parse_nat(text: str) -> str:
    """The canonical inline form of a NAT's preset name or inline form. Raises ValueError that names the offending
    character."""

def nat_presets() -> dict[str, str]:
    """Names of the presets, with their inline forms."""
