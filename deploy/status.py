"""Progress and throughput of a run, from another terminal: `medserl status runs/laptop`, once or with `--watch`.

Reads the run's files (spec.yaml, metrics.jsonl, evaluations.jsonl) and, while the job answers, its metrics.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Group
from rich.live import Live
from rich.table import Table

from actors import refusals
from common import metrics
from common.command_line import BAD_INPUT, print_json
from common.config import RunSpec
from common.errors import os_refusal
from common.records import Record
from deploy import cli, commands, program
from deploy.job.resize import sizes
from deploy.job.run_state import job_of, state_of
from deploy.monitoring.step_metrics import token_of
from deploy.report import clock
from deploy.report.clock import duration
from deploy.report.outlook import time_left
from deploy.report.steps import Row, read_steps
from deploy.report.terminal import StepTable, wide_console
from envs.contract.reports import alarm_spans, reports_of
from evals.core import curve
from evals.core.evaluator import EvalPoint

RECENT = 5  # number of steps that the figures are means over
REFRESH_SECONDS = 2.0
ANSWER_SECONDS, MAX_ANSWER = 3.0, 1 << 24
"""Longest wait for an answer, and the most of it that is read, bytes."""
STARVED, CALM = 0.25, 0.05
"""Share of time that the learner waits: above the first, rollouts limit the run; below the second, the learner does.
"""
Series = dict[tuple[str, tuple[str, ...]], float]
"""(metric, label values) -> newest value."""


class Advice(Record):
    """What limits the run, and the edit of the spec that would help; none when nothing waits much."""

    line: str
    edit: str = ""


def scrape(host: str, port: int, token_file: Path | None = None, job: str | None = None) -> Series | None:
    """The metrics of the job with the id `job`, of any job without one.

    None when nothing answers at the address within a few seconds, another program or another run does, or the token is
    refused.
    """
    answers = list[Series]()
    # In a thread of its own: a stranger may send a byte now and then, for ever.
    asking = threading.Thread(target=lambda: answers.extend(_answers(host, port, token_file, job)), daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    return next(iter(answers), None)


def _answers(host: str, port: int, token_file: Path | None, job: str | None) -> Iterator[Series]:
    """The job's series; nothing where it is another's, or no answer."""
    try:
        headers = {"Authorization": f"Bearer {token_of(token_file)}"} if token_file else {}
        connection = http.client.HTTPConnection(reachable(host), port, timeout=ANSWER_SECONDS)  # asks no proxy
        with closing(connection):
            connection.request("GET", "/metrics", headers=headers)
            answer = connection.getresponse()
            text = answer.read(MAX_ANSWER).decode() if answer.status == 200 else ""
        found = list(text_string_to_metric_families(text))
    except (OSError, http.client.HTTPException, ValueError, LookupError, OverflowError):
        return  # the last ones: of the parser, for another's text
    samples = [sample for family in found for sample in family.samples if sample.name.startswith("medserl_")]
    ids = [sample.labels.get("id") for sample in samples if sample.name == metrics.RUN.name]
    if samples and (job is None or ids == [job]):
        yield {(sample.name, tuple(sample.labels.values())): sample.value for sample in samples}


def reachable(host: str) -> str:
    """Where a job answers that listens on `host`: one that listens everywhere does so on this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host.strip("[]"))


def advise(spec: RunSpec, rows: Sequence[Row], ready: float | None) -> Advice:
    """What limited the last steps; `ready` is the number of tasks that wait for a Doctor, None when not known."""
    recent = rows[-RECENT:]
    waits = sum(row["wait_seconds"] for row in recent) / sum(row["seconds"] for row in recent)
    if waits < CALM and spec.buffer.max_lag:
        line = f"the learner limits the run: Doctors wait for it, and it waits {waits:.0%} of the time"
        # On a CPU more ranks would share the same cores.
        return Advice(line=line, edit=f"learner.ranks: {spec.learner.ranks * 2}" if spec.backend == "cuda" else "")
    if waits < STARVED:
        return Advice(line=f"balanced: the learner waits for rollouts {waits:.0%} of the time")
    return Advice(line=f"the learner waits for rollouts {waits:.0%} of the time", edit=_more_rollouts(spec, ready))


def _more_rollouts(spec: RunSpec, ready: float | None) -> str:
    """The edit for more rollouts: Scribes when tasks are short, else Doctors, engines or a larger max_lag."""
    rollout, learner = spec.rollout, spec.learner
    if ready == 0:
        return f"rollout.scribes: {rollout.scribes + 1} (no task waits for a Doctor)"
    in_hand = rollout.doctors * rollout.concurrency
    pool = next(pool for pool in spec.pools if "doctor" in pool.serves)
    if in_hand >= (spec.buffer.max_lag + 1) * learner.batch_groups and not spec.buffer.max_lag:
        return "buffer.max_lag: 1 (a synchronous run waits by design)"
    if in_hand * spec.sampling.group_size >= pool.engines * pool.max_num_seqs:
        return f"pools.{pool.name}.engines: {pool.engines + 1} (its {pool.max_num_seqs} sequences per engine are full)"
    if in_hand >= (spec.buffer.max_lag + 1) * learner.batch_groups:
        return f"buffer.max_lag: {spec.buffer.max_lag + 1}, or pools.{pool.name}.engines: {pool.engines + 1}"
    return f"rollout.doctors: {rollout.doctors + 1}"


def render(spec: RunSpec, run: Path, series: Series | None) -> Group:
    """The status for a terminal."""
    rows, damaged = read_steps(run)
    points = curve.points(run / curve.FILE)
    parts: list[Any] = [_facts(spec, run, rows, points.found, series)]
    parts += [*damaged, *points.damaged]
    if rows:
        parts += [
            "",
            StepTable(f"newest steps; {len(rows)} of {spec.steps} done", rows[-RECENT:], reports_of(spec)),
            "",
        ]
        advice = advise(spec, rows, _ready(series))
        if series:
            parts.append(advice.line + (f": set {advice.edit}" if advice.edit else ""))
        else:  # it has ended, or nobody knows
            parts.append(f"in its last steps {advice.line}" + (f"; next time set {advice.edit}" if advice.edit else ""))
        if series and advice.edit.partition(":")[0] in sizes(spec):
            parts.append(f"edit the spec, then {program.command('apply')} SPEC: it changes the run without stopping it")
    return Group(*parts)


def _facts(spec: RunSpec, run: Path, rows: list[Row], points: list[EvalPoint], series: Series | None) -> Table:
    shown = Table.grid(padding=(0, 2))
    engines = ", ".join(f"{pool.engines} in pool {pool.name}" for pool in spec.pools)
    answers = "" if series else "; the job does not answer"
    shown.add_row("run", f"{run.name} on {spec.backend}: {state_of(run)}{answers}")
    shown.add_row(
        "actors",
        f"engines: {engines}; {spec.rollout.scribes} scribes, {spec.rollout.doctors} doctors, "
        f"{spec.learner.ranks} learner ranks",
    )
    if series:
        shown.add_row("serving", ", ".join(_serving(series, kind) for kind in metrics.SCALED_KINDS))
    if rows:
        age = time.time() - rows[-1]["time"]
        left = f"; {time_left(rows, spec.steps)}" if series and time_left(rows, spec.steps) else ""
        made = f"step {rows[-1]['step']} of {spec.steps}, {duration(age)} ago"
        shown.add_row("progress", f"{made}; {_throughput(rows)}{left}")
        shown.add_row("lag", f"{rows[-1]['policy_lag']} of at most {spec.buffer.max_lag}")
        for text in _alarms(spec, rows):
            shown.add_row("alarm", text)
    if series:
        states = metrics.BUFFER_STATES
        shown.add_row("buffer", ", ".join(f"{_value(series, metrics.BUFFER, state)} {state}" for state in states))
        if refused := _rejections(series):
            shown.add_row("rejected", refused)
        for text in _stuck(spec, series):
            shown.add_row("waiting", text)
        restarts = [f"{_value(series, metrics.ACTOR_RESTARTS, kind)} {kind}" for kind in metrics.ACTOR_KINDS]
        shown.add_row("restarts", f"{', '.join(restarts)}; {_value(series, metrics.ENGINE_RESTARTS)} engines replaced")
    if spent := clock.read(run):
        shown.add_row("this start", str(spent))
    if (run / "model" / "config.json").is_file():
        shown.add_row("model", str(run / "model"))
    shown.add_row("last eval", curve.line(points[-1], reports_of(spec)) if points else "none")
    return shown


def _alarms(spec: RunSpec, rows: list[Row]) -> list[str]:
    """Those in effect after the newest step."""
    spans = [span for env_id, report in reports_of(spec).items() for span in alarm_spans(env_id, report, rows)]
    return [span.text for span in spans if span.last == rows[-1]["step"]]


def _serving(series: Series, kind: str) -> str:
    return f"{_value(series, metrics.ACTORS, kind)} of {_value(series, metrics.ACTORS_WANTED, kind)} {kind}s"


def _rejections(series: Series) -> str:
    """How many, by reason; without the reasons that there were none for."""
    counts = {values: count for (name, values), count in series.items() if name == metrics.REJECTED.name and count}
    return ", ".join(f"{count:g} {reason}" for (reason,), count in counts.items())


def _stuck(spec: RunSpec, series: Series) -> list[str]:
    """What does not pass for long, with the reason and the edit."""
    counts = {values: count for (name, values), count in series.items() if name == metrics.REFUSED_IN_A_ROW.name}
    return [
        refusals.line(what, reason, count, spec.filters)
        for (what, reason), count in counts.items()
        if count >= refusals.IN_A_ROW
    ]


def _throughput(rows: list[Row]) -> str:
    recent = rows[-RECENT:]
    seconds = sum(row["seconds"] for row in recent)
    completions, tokens = (sum(row[name] for row in recent) for name in ("completions", "rollout_tokens"))
    return f"{completions / seconds:.2f} completions/s, {tokens / seconds:.0f} tokens/s over {len(recent)} steps"


def _value(series: Series, metric: metrics.Metric, *values: str) -> str:
    return f"{series.get((metric.name, values), 0):g}"


def _ready(series: Series | None) -> float | None:
    """Number of tasks that wait for a Doctor; None while the job does not answer."""
    return series.get((metrics.BUFFER.name, ("ready",))) if series else None


def as_json(spec: RunSpec, run: Path, series: Series | None) -> dict[str, Any]:
    """The status for scripts. Figures that come from the job's metrics are null while it does not answer."""
    rows, damaged = read_steps(run)
    points = curve.points(run / curve.FILE)
    advice = advise(spec, rows, _ready(series)) if rows else None
    return {
        "run": run.name,
        "state": state_of(run),
        "answers": series is not None,
        "steps": rows[-1]["step"] if rows else 0,
        "of": spec.steps,
        "last_step": rows[-1] if rows else None,
        "max_lag": spec.buffer.max_lag,
        "advice": advice and advice.line,
        "edit": advice and advice.edit,
        "last_evaluation": msgspec.to_builtins(points.found[-1]) if points.found else None,
        "damaged": [*damaged, *points.damaged],
        "waiting": _stuck(spec, series) if series else [],
        "metrics": series and {" ".join((name, *values)): value for (name, values), value in series.items()},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m deploy.status`."""
    return run(commands.parse("status", "python -m deploy.status", arguments))


def run(args: Namespace) -> int:
    """Print the status, once or repeatedly. Returns 0, or 2 after one line on standard error."""
    try:
        if args.watch:
            _watch(args)
        else:
            spec, series = _now(args)
            if args.json:
                print_json(as_json(spec, args.run, series))
            else:
                wide_console().print(render(spec, args.run, series), highlight=False)
    except (ValueError, OSError) as error:
        print(f"status: {error if isinstance(error, ValueError) else os_refusal(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        pass
    return 0


def _now(args: Namespace) -> tuple[RunSpec, Series | None]:
    spec = cli.load_run(args.run)  # read each time: `apply` may have changed it
    job, served = job_of(args.run)
    port = served or spec.metrics.port if args.port is None else args.port
    return spec, scrape(spec.metrics.host, port, spec.metrics.token_file, job) if port else None


def _watch(args: Namespace) -> None:
    def now() -> Group:
        spec, series = _now(args)
        return render(spec, args.run, series)

    with Live(now(), console=wide_console(), auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_SECONDS)
            live.update(now(), refresh=True)


if __name__ == "__main__":
    sys.exit(main())
