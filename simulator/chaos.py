"""Kill everything, lose nothing: `python -m simulator.chaos`. A real run of the smoke spec under a seeded schedule of
SIGKILLs, compared with an undisturbed one: recovery times by kind, task accounting, and both reward curves.

The evaluator runs in the driver's process and dies with it; its requests survive the death of engines.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from common.flags import flag_path
from common.records import Record
from simulator.chaos_job import TITLES, Accounts, Job

KINDS = (*TITLES, "driver")
LONGEST_WAIT_SECONDS = 4.0
"""Maximum delay between a step and the next kill: long enough to reach every phase of the loop."""


LONG_EPISODES = [
    "--envs",
    "[{class: simulator.fake_game:FakeGame, goes_on: 0.9}]",
    "--sampling.max_tokens",
    "8",
    "--warm_up.steps",
    "150",
]
"""The simulator's game in a real run. The warm-up teaches the model to end its replies: one that is cut off ends its
episode."""


class Kill(Record):
    """One SIGKILL: who died, and who came in its place, with the seconds until it did and until the next step.

    The driver is a victim too; its successor resumes the run.
    """

    kind: str
    dead: int  # process id
    successor: int
    after_step: int
    replaced_seconds: float
    step_seconds: float


def main() -> None:
    """Both runs, then the tables."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the jobs end with this process
    runs = options.runs or Path(tempfile.mkdtemp(prefix="chaos-"))
    flags = ["--steps", str(options.steps), "--model.cache", str(runs / "cache")]
    flags += LONG_EPISODES if options.turns else []
    calm = None
    if not options.alone:
        calm = Job(runs, "calm", options.spec, flags)
        calm.start()
        _ended(calm)
    job = Job(runs, "chaos", options.spec, flags)
    job.start()
    started = time.monotonic()
    kills = []
    for kind, rng in schedule(options.kills, options.seed):
        before = job.accounts() if job.rows() else None
        kills.append(kill_one(job, kind, rng))
        print(kills[-1], f"before: {before}", f"after: {job.accounts()}", sep="\n", flush=True)
    _ended(job)
    result = {
        "kills": [msgspec.to_builtins(kill) for kill in kills],
        "accounts": msgspec.to_builtins(job.accounts()),
        "seconds": time.monotonic() - started,
    }
    (runs / "chaos.json").write_text(json.dumps(result, indent=1))
    print(table(kills, median_step(calm or job)))
    print(account_lines(job.accounts(), options.steps))
    if calm is not None:
        print(curves(calm.rows(), job.rows()))
    print(f"logs, metrics and {runs / 'chaos.json'} are in {runs}")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags; `given` instead of the command line."""
    parser = argparse.ArgumentParser(prog="python -m simulator.chaos", description="Kill everything, lose nothing.")
    parser.add_argument("--kills", type=int, default=len(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--spec", type=flag_path, default=Path("smoke"))
    parser.add_argument("--runs", type=flag_path, help="default: a temporary folder")
    parser.add_argument("--turns", action="store_true", help="episodes of 1 to 40 turns instead of the spec's game")
    parser.add_argument("--alone", action="store_true", help="without the undisturbed run")
    return parser.parse_args(given)


def schedule(kills: int, seed: int) -> list[tuple[str, random.Random]]:
    """All kinds in rounds, each round in a new order; each kill with its own generator for time and victim."""
    rng = random.Random(seed)
    kinds: list[str] = []
    while len(kinds) < kills:
        kinds += rng.sample(KINDS, len(KINDS))
    return [(kind, random.Random(rng.random())) for kind in kinds[:kills]]


def kill_one(job: Job, kind: str, rng: random.Random, longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> Kill:
    """Wait for a step, then a random while; kill one of `kind`; wait until it is replaced and a step follows."""
    step = int(job.step_after(time.time())["step"])
    time.sleep(rng.uniform(0, longest_wait_seconds))
    began, moment = time.monotonic(), time.time()
    if kind == "driver":
        dead = job.kill_driver()
        job.start("--resume")
        job.wait(lambda: job.processes("rank"), "a learner")
        successor = job.process.pid
    else:
        before = {process.pid for process in job.processes(kind)}
        dead = job.kill(kind, rng.randrange(99))
        new = job.wait(lambda: {process.pid for process in job.processes(kind)} - before, f"another {kind}")
        successor = min(new)
    replaced = time.monotonic() - began
    job.step_after(moment)
    return Kill(
        kind=kind,
        dead=dead,
        successor=successor,
        after_step=step,
        replaced_seconds=replaced,
        step_seconds=time.monotonic() - began,
    )


def _ended(job: Job) -> None:
    if job.finish():
        raise RuntimeError(f"{job.name} failed:\n{job.text()[-4000:]}")


def median_step(job: Job) -> float:
    """Seconds between two steps."""
    return float(statistics.median(row["seconds"] for row in job.rows()))


def table(kills: list[Kill], step_seconds: float) -> str:
    """Recovery by kind, in Markdown."""
    lines = [
        f"| killed | times | replaced after, s | next step after, s (a step takes {step_seconds:.1f}) |",
        "|---|---|---|---|",
    ]
    for kind in KINDS:
        mine = [kill for kill in kills if kill.kind == kind]
        if mine:
            replaced, step = ([getattr(kill, name) for kill in mine] for name in ("replaced_seconds", "step_seconds"))
            lines.append(f"| {kind} | {len(mine)} | {_span(replaced)} | {_span(step)} |")
    return "\n".join(lines)


def _span(values: list[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def account_lines(accounts: Accounts, steps: int) -> str:
    """The final state of every task, and what its episodes were like, in three lines."""
    each, turns = sorted(set(accounts.steps.values())), accounts.turns
    return (
        f"given {accounts.given} = ready {accounts.ready} + to be given again {accounts.unclaimed} + trained "
        f"{accounts.trained} + rejected {accounts.rejected}\n"
        f"{len(accounts.steps)} of {steps} steps of {'/'.join(map(str, each))} tasks, {len(accounts.twice)} tasks "
        f"trained twice: {'all tasks accounted for' if accounts.balance else 'TASKS ARE LOST OR DUPLICATED'}\n"
        f"{sum(turns.values())} episodes of {min(turns)} to {max(turns)} turns; largest lag {accounts.lag}"
    )


def curves(calm: list[dict[str, Any]], chaos: list[dict[str, Any]]) -> str:
    """Mean reward by step of both runs, in Markdown."""
    lines = ["| step | reward, undisturbed | reward, under kills |", "|---|---|---|"]
    for one, other in zip(calm, chaos, strict=True):
        lines.append(f"| {one['step']} | {one['reward_mean']:+.2f} | {other['reward_mean']:+.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
