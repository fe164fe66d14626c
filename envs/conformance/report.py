"""The result of the conformance check of an environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.records import Record


class Released(Record):
    """The tasks that a game lists by name. `policies` holds mean totals, each task weighing the same.

    `oracle` is its least total, `foreign` counts its calls that name what their task does not have.
    """

    tasks: int
    distinct: int
    disputed: int | None
    oracle: float
    foreign: int
    policies: dict[str, float]

    @property
    def best(self) -> tuple[str, float]:
        """The policy that earns most, and what."""
        return max(self.policies.items(), key=lambda item: item[1])

    def __str__(self) -> str:
        """One line."""
        name, mean = self.best
        return (
            f"{self.tasks} tasks, {self.distinct} distinct, {_doubt(self.disputed)}, oracle {self.oracle:.2f}, "
            f"{self.foreign} foreign ids, best of {len(self.policies)} policies {mean:.2f} ({name})"
        )


class Report(Record):
    """The figures of `check`. `policies` holds mean totals, all classes weighted equally; `leaks` holds AUCs.

    `disputed` is None without a checker. `made_per_s`, tasks in a second of processor time, is None of a game that
    promises none. `part` is the part of the game, where it has several.
    """

    env_id: str
    kinds: dict[str, int]
    rejections: dict[str, int]
    oracle: float
    policies: dict[str, float]
    leaks: dict[str, float]
    problems: tuple[str, ...]
    distinct: int = 0
    disputed: int | None = None
    made_per_s: float | None = None
    part: str = ""
    released: Released | None = None

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    @property
    def name(self) -> str:
        """The game, and its part where it has several."""
        return f"{self.env_id} {self.part}".strip()

    def __str__(self) -> str:
        """The report for a terminal, one fact per line."""
        facts: dict[str, Mapping[str, float]] = {
            "tasks": self.kinds,
            "rejected": self.rejections,
            "policies": self.policies,
            "leaks": self.leaks,
        }
        lines = [f"{self.name}: {len(self.problems)} problems, oracle {self.oracle:.2f}"]
        for name, values in facts.items():
            shown = (f"{k} {v}" if isinstance(v, int) else f"{k} {v:.2f}" for k, v in values.items())
            lines.append(f"  {name}: {', '.join(shown) or 'none'}")
        lines.append(f"  made: {self._made}")
        lines += [] if self.released is None else [f"  release: {self.released}"]
        return "\n".join([*lines, *(f"  PROBLEM {problem}" for problem in self.problems)])

    @property
    def _made(self) -> str:
        rate = "" if self.made_per_s is None else f", {self.made_per_s:.0f} a second of processor time"
        return f"{self.distinct} distinct, {_doubt(self.disputed)}{rate}"


def _doubt(disputed: int | None) -> str:
    return "no independent checker" if disputed is None else f"{disputed} labels disputed"


def table(reports: Sequence[Report]) -> str:
    """The figures that have bounds, a line for each report."""
    rows = [_HEAD, *map(_row, reports)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


_HEAD = ("", "tasks", "distinct", "disputed", "oracle", "blind", "AUC", "made/s", "release", "oracle", "blind")


def _row(report: Report) -> tuple[str, ...]:
    made = (sum(report.kinds.values()), report.distinct, "-" if report.disputed is None else report.disputed)
    figures = (report.oracle, max(report.policies.values()), max(report.leaks.values()))
    rate = "-" if report.made_per_s is None else f"{report.made_per_s:.0f}"
    one = report.released
    listed = ("-", "-", "-") if one is None else (str(one.tasks), f"{one.oracle:.2f}", f"{one.best[1]:.2f}")
    return (report.name, *map(str, made), *(f"{value:.2f}" for value in figures), rate, *listed)
