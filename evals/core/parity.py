"""What a system must be able to do, as rows of a table: each is checked, and each has a negative control.

A system is a NamedTuple of its parts: functions, classes, constants, a document. The check of a row is a pure function
of some of them, which its parameters name, and returns what it found. The control of a row replaces one part, or a
few, by a corrupted one. It must turn that row red and no other: the rows that look at a replaced part are all checked
again, and no other row can change.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from common.records import Record


class State(StrEnum):
    """Of a row."""

    GREEN = "green"
    RED = "red"
    COMMAND = "by command"
    """Nothing was checked here: what shows the row is too heavy, or needs an environment of its own."""


class Found(NamedTuple):
    """What a check measured, in one line, and what of the demands is not met."""

    figure: str
    problems: tuple[str, ...] = ()


class Control(NamedTuple):
    """A corruption. `corrupt` takes the parts of a system and returns them with some replaced."""

    says: str
    corrupt: Callable[[Any], Any]


class Row(NamedTuple):
    """A row that is checked here. `shown_by` are tests and commands that show the same or more of it."""

    row: str
    says: str
    shown_by: tuple[str, ...]
    check: Callable[..., Found]
    control: Control

    @property
    def reads(self) -> frozenset[str]:
        """The parts that the check looks at."""
        return frozenset(inspect.signature(self.check).parameters)


class Elsewhere(NamedTuple):
    """A row that tests or commands of `shown_by` show, and no check here. `known` says what is known of it."""

    row: str
    says: str
    shown_by: tuple[str, ...]
    known: str


class Verdict(Record):
    """A row after its check. `turned` are the rows that its control turned red; None where no control was applied."""

    row: str
    says: str
    figure: str
    state: State
    shown_by: tuple[str, ...]
    problems: tuple[str, ...] = ()
    control: str = ""
    turned: tuple[str, ...] | None = None

    @property
    def ok(self) -> bool:
        """Whether the row is not red, and its control, if one was applied, turned exactly it red."""
        return self.state != State.RED and self.turned in (None, (self.row,))


def demands(**met: bool) -> tuple[str, ...]:
    """The names of those that are not met, as words: the problems of a `Found`."""
    return tuple(name.replace("_", " ") for name, is_met in met.items() if not is_met)


class Table:
    """The rows of one system. Every check is made once, however many rows' controls it is compared with."""

    def __init__(self, parts: Any, rows: Sequence[Row | Elsewhere]) -> None:
        self.parts, self.rows = parts, rows
        known = frozenset(parts._fields)
        assert len({one.row for one in rows}) == len(rows), "two rows have one id"
        assert all(one.reads <= known for one in self._checked), "a check names a part that the system lacks"

    def judge(self, names: Sequence[str], controls: bool) -> Iterator[Verdict]:
        """These rows, in the table's order, as they are done."""
        return (self._judged(one, controls) for one in self.rows if one.row in names)

    @cached_property
    def _checked(self) -> tuple[Row, ...]:
        return tuple(one for one in self.rows if isinstance(one, Row))

    @cached_property
    def _clean(self) -> dict[str, Found]:
        return {}

    def _judged(self, one: Row | Elsewhere, controls: bool) -> Verdict:
        if isinstance(one, Elsewhere):
            return Verdict(row=one.row, says=one.says, figure=one.known, state=State.COMMAND, shown_by=one.shown_by)
        found = self._found(one)
        return Verdict(
            row=one.row,
            says=one.says,
            figure=found.figure,
            state=State.RED if found.problems else State.GREEN,
            shown_by=one.shown_by,
            problems=found.problems,
            control=one.control.says,
            turned=self._turned(one.control) if controls else None,
        )

    def _turned(self, control: Control) -> tuple[str, ...]:
        """The rows that are red with the corrupted parts, and green without."""
        corrupted = control.corrupt(self.parts)
        changed = {name for name in corrupted._fields if getattr(corrupted, name) is not getattr(self.parts, name)}
        assert changed, f"nothing is corrupted: {control.says}"
        affected = [one for one in self._checked if one.reads & changed]
        return tuple(
            one.row for one in affected if _check(one, corrupted._asdict()).problems and not self._found(one).problems
        )

    def _found(self, one: Row) -> Found:
        if one.row not in self._clean:
            self._clean[one.row] = _check(one, self.parts._asdict())
        return self._clean[one.row]


def _check(one: Row, parts: Mapping[str, Any]) -> Found:
    return one.check(**{name: parts[name] for name in one.reads})
