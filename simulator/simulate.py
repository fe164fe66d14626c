"""The loop simulator: the real loop over fake engines and learner, on a virtual clock.

    python -m simulator.simulate --schedules 10000      # seeded faults; exit code 1 when anything was violated
    python -m simulator.simulate --seed 4711            # repeat one of them with details
    python -m simulator.simulate --scale                # Doctors from 1 to 256, and asynchronous against synchronous

A schedule is one run of 3 to 8 learner steps with a seeded spec (Scribes, Doctors, engines, ranks, lag, batch,
capacity, leases, transport, checkpoints), a game whose episodes have 1 to 40 turns, and up to 8 faults at seeded
moments: a Scribe, Doctor or engine killed, an engine's core killed under its actor, an engine twenty times slower for
five minutes, one that hangs in a phase of a sync, a learner rank killed or hanging, the buffer or the driver killed,
and a power failure that loses a part of the journal's lines that were not synced. A run whose learner, buffer or driver
died continues from its newest checkpoint. Checked: task accounting at every transition, the version of every token and
the lag of every group trained, no task trained twice and no version skipped along the checkpoints that led to the end,
the journal against the steps made, and that the run ends.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from actors import journal
from common.config import (
    BufferSpec,
    LearnerSpec,
    PoolSpec,
    RolloutSpec,
    RunSpec,
    SamplingSpec,
    WeightsSpec,
)
from common.records import Record
from common.shared_memory import SHARED_MEMORY
from simulator import scaling, virtual
from simulator.fake_cluster import Speeds
from simulator.fake_game import FakeGame, FakeSettings
from simulator.simulated_run import FAULTS, Fault, SimulatedRun

HEARTBEAT = 10.0  # s
LIMIT = 48 * 3600.0  # s; a schedule takes minutes, so one that takes this long is stuck
CHUNK = 20  # schedules that a worker takes at once
PROGRESS = 500  # schedules from one line of progress to the next


class Outcome(Record):
    """One schedule."""

    seed: int
    seconds: float  # virtual
    steps: int  # made, abandoned ones too
    lives: int
    faults: dict[str, int]  # by kind, those that hit a living actor
    felt: dict[str, int]  # calls that hung or were slow because of a fault, by its kind
    endings: dict[str, int]  # ends of its lives, by reason
    turns: dict[int, int]  # episodes trained on, by their turns
    moved: int  # of these, those that changed their engine
    late: int  # groups given up or refused because their lease was lost
    violations: tuple[str, ...]


def schedule(seed: int) -> tuple[RunSpec, Speeds, FakeGame, list[Fault]]:
    """The schedule of this seed."""
    rng = random.Random(seed)
    crowd = rng.random() < 0.005  # sometimes hundreds of actors
    ranks = rng.choice((1, 1, 2))
    batch = 64 if crowd else ranks * rng.randint(1, 3)
    lag = rng.choice((0, 1, 1, 2, 3))
    spec = RunSpec(
        steps=3 if crowd else rng.randint(3, 8),
        pools=(PoolSpec(engines=8 if crowd else rng.randint(1, 3)),),
        sampling=SamplingSpec(group_size=2),
        rollout=RolloutSpec(
            scribes=16 if crowd else rng.randint(1, 3),
            doctors=200 if crowd else rng.randint(1, 6),
            concurrency=rng.randint(1, 4),
        ),
        buffer=BufferSpec(
            max_lag=lag,
            capacity=batch + rng.randint(0, (lag + 2) * batch),
            lease_seconds=rng.choice((30.0, 120.0, 600.0)),
        ),
        learner=LearnerSpec(
            batch_groups=batch, ranks=ranks, checkpoint_every=rng.randint(1, 3), keep_checkpoints=rng.randint(1, 2)
        ),
        weights=WeightsSpec(
            transport=rng.choice(("shm", "broadcast", "adapter")), timeout_seconds=rng.choice((20.0, 60.0))
        ),
    )
    game = FakeSettings(
        refused=rng.choice((0.0, 0.3)),
        asks=rng.choice((0.0, 0.5)),
        goes_on=rng.choice((0.0, 0.5) if crowd else (0.0, 0.5, 0.8, 0.9, 0.95)),
        strands=rng.choice((0.0, 0.0, 0.02)),
    )
    speeds = Speeds(
        median_tokens=600 * (1 - game.goes_on),  # so that episodes take equally long, however many turns they have
        sigma=rng.choice((0.0, 0.5, 1.0, 1.5)),
        context=rng.choice((math.inf, math.inf, 60.0)),
        load=rng.choice((20.0, 60.0)),
        travel=rng.choice((1e-3, 0.1)),
    )
    busy = speeds.load * spec.pools[0].engines + 40 * spec.steps  # s, roughly
    faults = [Fault(at=rng.uniform(0, busy), kind=rng.choice(FAULTS)) for _ in range(rng.randint(0, 8))]
    return spec, speeds, FakeGame(game, seed), faults


@contextmanager
def _small_journals_compacted() -> Iterator[None]:
    usual, journal.WORTHWHILE_BYTES = journal.WORTHWHILE_BYTES, 0
    try:
        yield
    finally:
        journal.WORTHWHILE_BYTES = usual


def run_schedule(seed: int) -> Outcome:
    """Run one schedule in a temporary folder. Its journal is compacted at every other checkpoint."""
    spec, speeds, game, faults = schedule(seed)
    seconds = 0.0
    memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with _small_journals_compacted(), tempfile.TemporaryDirectory(dir=memory) as folder:
        run = SimulatedRun(spec, speeds, game, seed, Path(folder))

        async def main() -> float:
            await run.play(faults, HEARTBEAT, LIMIT)
            return asyncio.get_running_loop().time()

        try:
            seconds = virtual.run(main())
        except (AssertionError, virtual.Stuck) as error:
            run.violations.append(f"broken: {error!r}"[:2000])
    return Outcome(
        seed=seed,
        seconds=seconds,
        steps=len(run.steps),
        lives=run.endings.total(),
        faults=dict(run.faults),
        felt=dict(run.felt),
        endings=dict(run.endings),
        turns=dict(run.episodes.turns),
        moved=run.episodes.moved,
        late=run.late,
        violations=tuple(run.violations),
    )


def run_schedules(first: int, count: int, console: Console) -> bool:
    """Run schedules on all cores and print the results; returns whether nothing was violated."""
    started, hours, steps, lives, bad = time.monotonic(), 0.0, 0, 0, 0
    faults, turns, episodes = Counter[str](), Counter[int](), Counter[str]()
    with ProcessPoolExecutor(max_workers=os.cpu_count(), initializer=logging.disable) as workers:  # faults are meant
        outcomes = workers.map(run_schedule, range(first, first + count), chunksize=CHUNK)
        for done, outcome in enumerate(outcomes, start=1):
            if done % PROGRESS == 0:
                console.print(f"{done} of {count} schedules, {bad} with violations, {time.monotonic() - started:.0f} s")
            hours, steps, lives = hours + outcome.seconds / 3600, steps + outcome.steps, lives + outcome.lives
            faults.update(outcome.faults)
            turns.update(outcome.turns)
            episodes.update(moved=outcome.moved, late=outcome.late)
            bad += bool(outcome.violations)
            for violation in outcome.violations:
                console.print(f"seed {outcome.seed}: {violation}", soft_wrap=True, highlight=False)
    console.print(
        f"{count} schedules (seeds {first} to {first + count - 1}): {bad} with violations. {faults.total()} faults, "
        f"{lives - count} resumes, {steps} learner steps, {hours:.0f} virtual hours in "
        f"{time.monotonic() - started:.0f} s",
        soft_wrap=True,
        highlight=False,
    )
    console.print(_episodes(turns, episodes), soft_wrap=True, highlight=False)
    console.print("faults: " + ", ".join(f"{kind} {faults[kind]}" for kind in FAULTS), soft_wrap=True, highlight=False)
    return not bad


def _episodes(turns: Counter[int], counted: Counter[str]) -> str:
    total = turns.total()
    mean = sum(number * count for number, count in turns.items()) / max(total, 1)
    return (
        f"episodes trained on: {total} of {min(turns, default=0)} to {max(turns, default=0)} turns, {mean:.1f} on "
        f"average, {counted['moved']} on more than one engine; {counted['late']} groups given up, their lease lost"
    )


def tell(seed: int, console: Console) -> bool:
    """Run one schedule with details; returns whether nothing was violated."""
    spec, speeds, _, faults = schedule(seed)
    outcome = run_schedule(seed)
    console.print(spec.model_dump(mode="json"), speeds, faults, outcome)
    return not outcome.violations


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns the exit code: 1 when something was violated."""
    parser = argparse.ArgumentParser(prog="python -m simulator.simulate", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--schedules", type=int, help="how many seeded fault schedules to run")
    parser.add_argument("--seed", type=int, help="the first seed; without --schedules, the only one")
    parser.add_argument("--scale", action="store_true", help="print the scaling tables")
    args = parser.parse_args(arguments)
    if args.schedules is None and args.seed is None and not args.scale:
        parser.error("give --schedules, --seed or --scale")
    console, good = Console(width=None if sys.stdout.isatty() else 120), True
    if args.schedules is not None:
        good = run_schedules(args.seed or 0, args.schedules, console)
    elif args.seed is not None:
        good = tell(args.seed, console)
    if args.scale:
        scaling.show(console)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
