"""The terminal: one live table during the run, a summary after it. Without a terminal, one line per change."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy.report import logp_drift
from deploy.report.clock import Spent
from deploy.report.outlook import time_left
from deploy.report.run_log import Tee
from envs.contract.reports import Reports, measure_key, score_line
from learner import checkpoint

Column = tuple[str, str, str]
"""Heading, key in a line of metrics.jsonl, format."""
COLUMNS: tuple[Column, ...] = (
    ("step", "step", "{:d}"),
    ("reward", "reward_mean", "{:+.2f}"),
    ("uniform", "uniform_groups", "{:.0%}"),
    ("loss", "loss", "{:+.3f}"),
    ("grad", "grad_norm", "{:.2f}"),
    ("lag", "policy_lag", "{:d}"),
    ("gen tok/s", "rollout_tokens_per_second", "{:.0f}"),
    ("train tok/s", "learner_tokens_per_second", "{:.0f}"),
    ("sync s", "sync_seconds", "{:.2f}"),
    ("canary", "canary_gap", "{:.4f}"),
    ("fresh", "fresh_logp_difference", "{:.4f}"),
    ("ok", "sync_ok", "{}"),
    ("step s", "seconds", "{:.0f}"),
)
NOT_PROVED, BAD = "NO", "bold red"
REWARD = 2  # columns up to the reward
SPARED = ("fresh", "train tok/s", "grad", "uniform", "canary", "loss", "sync s", "gen tok/s", "lag", "ok")
"""Columns that a narrow terminal does without, the first one first: a number is shown whole or not at all."""
WIDTH = 130
GAP = 2  # characters between two columns
SHOWN_ROWS = 12
QUIET_SECONDS = 15.0
"""Minimum seconds between two lines about the same phase, without a terminal."""


class Screen:
    """Use as a context manager; `phase`, `row` and `notify` may be called at any time."""

    def __init__(
        self, title: str, steps: int, reports: Reports, on_phase: Callable[[str], None] = lambda _: None
    ) -> None:
        self._title, self._steps, self._reports, self._on_phase = title, steps, reports, on_phase
        self._console, *self._others = consoles()
        self._rows: list[dict[str, Any]] = []
        self._phase, self._detail, self._since = "starting", "", time.monotonic()
        self._live = Live(self, console=self._console, refresh_per_second=2) if self._console.is_terminal else None
        self._told = 0.0

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __rich__(self) -> RenderableType:
        seconds = time.monotonic() - self._since
        hints = [f"{seconds:.0f} s", time_left(self._rows, self._steps), "Ctrl-C checkpoints and stops"]
        left = f"({'; '.join(filter(None, hints))})"
        line = Text.assemble((self._phase, "bold"), f" {self._detail} ", (left, "dim"))
        return Group(StepTable(self._title, self._rows[-SHOWN_ROWS:], self._reports), line) if self._rows else line

    def phase(self, name: str, detail: str = "") -> None:
        """Show what the run is doing now; `on_phase` is called with its name."""
        self._on_phase(name)
        changed = name != self._phase
        if changed:
            self._since = time.monotonic()
        self._phase, self._detail = name, detail
        now = time.monotonic()
        if changed or now - self._told > QUIET_SECONDS:
            self._told = now
            self._line(f"{time.strftime('%H:%M:%S')}  {name} {detail}".rstrip())

    def row(self, row: dict[str, Any]) -> None:
        """Show a finished step."""
        self._rows.append(row)
        line = step_line(row, self._steps, self._reports)
        left = time_left(self._rows, self._steps)
        self._line("  ".join(filter(None, (time.strftime("%H:%M:%S"), line, left))))

    def notify(self, text: str) -> None:
        """Show a message."""
        line = f"{time.strftime('%H:%M:%S')}  {text}"
        if self._live:
            self._console.print(line, highlight=False, soft_wrap=True)
        self._line(line)

    def _line(self, text: str) -> None:
        """Print a line where no table is drawn."""
        for console in self._others if self._live else (self._console, *self._others):
            console.print(text, highlight=False, soft_wrap=True)


def consoles() -> list[Console]:
    """Where a run shows itself: the terminal, and its run.log apart where that is to hold plain lines."""
    out = sys.stdout
    if isinstance(out, Tee) and out.isatty():
        return [Console(file=out.stream, markup=False), Console(file=out.log, width=WIDTH, markup=False)]  # type: ignore[arg-type]
    return [wide_console()]


def wide_console() -> Console:
    """A console; as wide as the table where there is no terminal (a log file, a job's output)."""
    console = Console(markup=False)  # a path may hold [brackets]
    return console if console.is_terminal else Console(width=WIDTH, markup=False)


def cell(row: dict[str, Any], key: str, form: str) -> str:
    """One formatted value; a dash where it could not be measured."""
    value = row.get(key)
    return "-" if value is None else ("yes" if value else NOT_PROVED) if isinstance(value, bool) else form.format(value)


def step_line(row: dict[str, Any], steps: int, reports: Reports) -> str:
    """A step in one line, for where there is no table."""
    cells = (f"{title} {cell(row, key, form)}" for title, key, form in columns(reports)[1:])
    return "  ".join((f"step {row['step']}/{steps}", *cells))


def columns(reports: Reports) -> tuple[Column, ...]:
    """Every column; the games' own come after the reward. With several games, each has only its last one."""
    several = len(reports) > 1
    own = [
        (f"{env_id} {one.header}" if several else one.header, measure_key(env_id, one.name), one.form)
        for env_id, report in reports.items()
        for one in [one for one in report.measures if one.header][-1 if several else 0 :]
    ]
    return (*COLUMNS[:REWARD], *own, *COLUMNS[REWARD:])


class StepTable:
    """Steps as a table, with as many columns as the terminal is wide."""

    def __init__(self, title: str, rows: list[dict[str, Any]], reports: Reports) -> None:
        self._title, self._rows, self._columns = title, rows, columns(reports)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.within(options.max_width)

    def within(self, width: int) -> Table:
        """The table in `width` characters."""
        made = Table(title=self._title, title_justify="left", box=None, pad_edge=False)
        shown = self._fitting(width)
        for name, _, _ in shown:
            made.add_column(name, justify="right", no_wrap=True)
        for row in self._rows:
            cells = (cell(row, key, form) for _, key, form in shown)
            made.add_row(*(Text(text, style=BAD if text == NOT_PROVED else "") for text in cells))
        return made

    def _fitting(self, width: int) -> list[Column]:
        shown = list(self._columns)
        for name in SPARED:
            if sum(map(self._width, shown)) - GAP <= width:
                break
            shown = [column for column in shown if column[0] != name]
        return shown

    def _width(self, column: Column) -> int:
        name, key, form = column
        return GAP + max(len(text) for text in (name, *(cell(row, key, form) for row in self._rows)))


def summarise(
    folder: Path, rows: list[dict[str, Any]], reports: Reports, finished: bool, resume: str, spent: Spent
) -> None:
    """Print the run's figures, its time by phase, and its files."""
    for console in consoles():
        _summarise(console, folder, rows, reports, finished, resume, spent)


def _summarise(
    console: Console,
    folder: Path,
    rows: list[dict[str, Any]],
    reports: Reports,
    finished: bool,
    resume: str,
    spent: Spent,
) -> None:
    if not rows:
        nothing = f"No step was finished. {resume}\ntime of this start: {spent}\n  logs      {folder / 'logs'}"
        console.print(nothing, soft_wrap=True, highlight=False)
        return
    console.print(StepTable(f"run {folder.name}", rows, reports))
    seconds = sum(row["seconds"] for row in rows)
    completions = sum(row["completions"] for row in rows)
    tokens = sum(row["rollout_tokens"] for row in rows)
    synced = sum(row.get("sync_ok") is True for row in rows)
    console.print(
        f"{len(rows)} steps, {completions} completions ({completions / seconds:.2f}/s), {tokens} tokens sampled "
        f"({tokens / seconds:.0f}/s), {synced} of {len(rows)} syncs ok, largest lag "
        f"{max(row['policy_lag'] for row in rows)}",
        soft_wrap=True,
        highlight=False,
    )
    for line in (logp_drift.summary(rows), f"time of this start: {spent}"):
        console.print(line, soft_wrap=True, highlight=False)
    for what, name in (
        ("episodes", "episodes.html"),
        ("plot", "progress.png"),
        ("rollouts", "rollouts/"),
        ("logs", "run.log"),
        ("", "logs/"),
    ):
        console.print(f"  {what:9} {folder / name}", soft_wrap=True, highlight=False)
    if found := checkpoint.best(folder):
        score = score_line(reports, found.manifest.score) if found.manifest.score else ""
        console.print(
            f"  best      {found.folder} ({score} in the last batches)",
            soft_wrap=True,
            highlight=False,
        )
    where = f"  model     {folder / 'model'}" if finished else f"  {resume}"
    console.print(where, soft_wrap=True, highlight=False)
    console.print("docs/read-results.md says how to read them", soft_wrap=True, highlight=False)
