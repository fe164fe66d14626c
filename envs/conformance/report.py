"""The result of the conformance check of an environment."""

from __future__ import annotations

from collections.abc import Mapping

from common.records import Record


class Report(Record):
    """The figures of `check`. `policies` holds mean totals, all classes weighted equally; `leaks` holds AUCs."""

    env_id: str
    kinds: dict[str, int]
    rejections: dict[str, int]
    oracle: float
    policies: dict[str, float]
    leaks: dict[str, float]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def __str__(self) -> str:
        """The report for a terminal, one fact per line."""
        facts: dict[str, Mapping[str, float]] = {
            "tasks": self.kinds,
            "rejected": self.rejections,
            "policies": self.policies,
            "leaks": self.leaks,
        }
        lines = [f"{self.env_id}: {len(self.problems)} problems, oracle {self.oracle:.2f}"]
        for name, values in facts.items():
            shown = (f"{k} {v}" if isinstance(v, int) else f"{k} {v:.2f}" for k, v in values.items())
            lines.append(f"  {name}: {', '.join(shown) or 'none'}")
        return "\n".join([*lines, *(f"  PROBLEM {problem}" for problem in self.problems)])
