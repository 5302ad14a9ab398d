"""The table of what works."""

NAMES = {"ours": "flaresim", "theirs": "js-libp2p"}
BEGIN, END = "<!-- interop table: written by tests/interop -->", "<!-- end of interop table -->"


class Report:
    def __init__(self, stacks, key_types):
        self._stacks = [stack.name for stack in stacks]
        self._key_types = key_types
        self._cells = {}  # title -> stack -> key type -> result
        self._gaps = {}

    def add(self, item, report):
        """One phase of one test; the worst phase counts."""
        marker = item.get_closest_marker("cell")
        if report.passed and report.when != "call":
            return
        params = item.callspec.params
        title = marker.args[0].format(**{key: NAMES.get(value, value) for key, value in params.items()})
        result = self._result(report)
        if gap := item.get_closest_marker("known_gap"):
            self._gaps[title] = f"known gap: {gap.args[0]}" if result == "pass" else result
        else:
            stack, key_type = params["combination"]
            self._cells.setdefault(title, {}).setdefault(stack.name, {})[key_type] = result

    @staticmethod
    def _result(report):
        if report.failed:
            return "**fail**"
        if report.skipped:
            reason = report.longrepr[2].removeprefix("Skipped: ")
            return f"skipped ({reason})"
        return "pass"

    def write(self, file):
        before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not end:
            raise ValueError(f"{file} lacks the markers {BEGIN} and {END}")
        lines = [BEGIN, "", *self._table(), "", *self._gap_table(), "", END]
        file.write_text(before + "\n".join(lines) + after, encoding="utf-8")

    def _table(self):
        yield f"| key types: {', '.join(self._key_types)} | {' | '.join(self._stacks)} |"
        yield "|---" * (len(self._stacks) + 1) + "|"
        for title, row in self._cells.items():
            yield f"| {title} | {' | '.join(self._summary(row.get(stack, {})) for stack in self._stacks)} |"

    def _summary(self, by_key_type):
        run = {key_type: by_key_type[key_type] for key_type in self._key_types if key_type in by_key_type}
        results = set(run.values())
        if len(results) != 1:
            return ", ".join(f"{key_type}: {result}" for key_type, result in run.items()) or "not run"
        return results.pop() if len(run) == len(self._key_types) else f"{results.pop()} ({', '.join(run)})"

    def _gap_table(self):
        yield "| beyond js-libp2p | |"
        yield "|---|---|"
        for title, result in self._gaps.items():
            yield f"| {title} | {result} |"
