"""The simulator's two tables: Doctors from 1 to 256, and asynchronous against synchronous. Nothing fails in them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from common.config import BufferSpec, LearnerSpec, PoolSpec, RolloutSpec, RunSpec, SamplingSpec
from common.records import Record
from common.shared_memory import SHARED_MEMORY
from simulator import virtual
from simulator.fake_cluster import Pace, Speeds
from simulator.fake_game import FakeGame, FakeSettings
from simulator.simulated_run import SimulatedRun

DOCTORS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SHAPES = ((1, 4), (1, 16), (2, 4))  # buffer.max_lag, groups of a batch per Doctor
GROUPS, FEWEST_STEPS = 4096, 6  # per table cell: lengths vary, so that many groups are needed for a mean
FLEET, FLEET_BATCH = 64, 128  # Doctors and batch of the second table
LAGS = (1, 2, 4)
FLEET_STEPS = 48  # a step ends with its longest completion, so many steps are needed for a mean
SKIPPED = 2  # steps, before the measured ones
HEARTBEAT = 600.0  # s; nobody dies here
GROUP_SIZE = 8

ASSUMPTIONS = """\
One Doctor plays one group of 8 completions at a time on an engine of its own; engines are added with Doctors, and
so are groups to the batch. A sequence decodes 50 tokens/s however many there are (decoding is bound by memory).
Lengths are log-normal with median 600 tokens and the given sigma, cut at 8192: at sigma 1 the mean is about 1.6
medians, and one in a hundred is ten. The learner takes a fixed time per token, on devices of its own; a publish pauses
every engine for about 1.2 s. A message is delayed by 1 ms, and each call occupies the single thread of the buffer or
the pool for 1 ms. Scribes need no model.
Buffer, journal, staleness rule, supervisor, channel, learner loop, pool, Scribe and Doctor are the real code.
Efficiency is relative to the ideal rate of the Doctors or of the learner, whichever is lower; * marks the learner.
busy: the share of its time in which the learner does not wait for a batch. lag: buffer.max_lag."""


class Rate(Record):
    """Means over the measured steps."""

    groups_per_hour: float
    busy: float  # share of its time in which the learner does not wait for a batch


def measure(doctors: int, batch: int, max_lag: int, speeds: Speeds, steps: int = FEWEST_STEPS) -> Rate:
    """The rate of one run."""
    spec = RunSpec(
        steps=SKIPPED + steps,
        pools=(PoolSpec(engines=doctors),),
        sampling=SamplingSpec(group_size=GROUP_SIZE),
        rollout=RolloutSpec(scribes=2, doctors=doctors, concurrency=1),
        buffer=BufferSpec(max_lag=max_lag, capacity=(max_lag + 3) * batch, lease_seconds=3600),
        learner=LearnerSpec(batch_groups=batch, checkpoint_every=10_000),
    )
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        run = SimulatedRun(spec, speeds, FakeGame(FakeSettings(), 0), 0, Path(folder))
        virtual.run(run.play((), HEARTBEAT, 1e9))
    assert not run.violations, run.violations
    (first, _), measured = run.steps[SKIPPED - 1], run.steps[SKIPPED:]
    taken = measured[-1][0] - first
    groups = sum(len(step.groups) for _, step in measured)
    return Rate(
        groups_per_hour=groups / taken * 3600,
        busy=1 - sum(step.wait_seconds for _, step in measured) / taken,
    )


def doctors_table() -> Table:
    """Throughput by number of Doctors, until the learner saturates. The batch grows with the Doctors."""
    speeds = Speeds(learner_seconds_per_token=5e-5, load=1.0, service=1e-3)
    at_once = msgspec.structs.replace(speeds, tokens_per_second=1e9)
    most = measure(max(DOCTORS), 4 * max(DOCTORS), 2, at_once).groups_per_hour
    alone = _long(1, 16, 2, speeds).groups_per_hour
    title = f"one Doctor alone {alone:.0f} groups/h, the learner alone {most:.0f}; groups/h, efficiency, learner busy"
    table = Table(title=title, title_justify="left")
    for column in ("Doctors", *(f"lag {lag}, {groups} groups per Doctor in a batch" for lag, groups in SHAPES)):
        table.add_column(column, justify="right")
    for doctors in DOCTORS:
        possible = min(doctors * alone, most)
        rates = [_long(doctors, groups * doctors, lag, speeds) for lag, groups in SHAPES]
        cells = [f"{r.groups_per_hour:.0f}  {r.groups_per_hour / possible:4.0%}  {r.busy:4.0%}" for r in rates]
        table.add_row(f"{doctors}{' *' if doctors * alone > most else ''}", *cells)
    return table


def _long(doctors: int, batch: int, max_lag: int, speeds: Speeds) -> Rate:
    return measure(doctors, batch, max_lag, speeds, max(FEWEST_STEPS, -(-GROUPS // batch)))


def lag_table() -> Table:
    """Rate of asynchronous over synchronous, by tail of the lengths and by the ratio of training to sampling time."""
    title = (
        f"groups/h, {FLEET} Doctors, {FLEET_BATCH} groups per step: async (max_lag 1 and more) against sync (max_lag 0)"
    )
    table = Table(title=title, title_justify="left")
    for column in ("sigma", "train : sample", "sync", *(f"lag {lag} / sync" for lag in LAGS), "busy: sync", "lag 1"):
        table.add_column(column, justify="right")
    for sigma in (0.0, 0.5, 1.0):
        rate = _engine_manager(_speeds(sigma, 0.0), max(LAGS)).groups_per_hour  # when nothing limits the Doctors
        tokens = _tokens_per_second(sigma, rate)
        for ratio in (0.25, 0.5, 1.0):
            sync, *lagging = (_engine_manager(_speeds(sigma, ratio / tokens), lag) for lag in (0, *LAGS))
            table.add_row(
                f"{sigma:g}",
                f"{ratio:g}",
                f"{sync.groups_per_hour:.0f}",
                *(f"{lags.groups_per_hour / sync.groups_per_hour:.2f}" for lags in lagging),
                f"{sync.busy:.0%}",
                f"{lagging[0].busy:.0%}",
            )
    return table


def _engine_manager(speeds: Speeds, max_lag: int) -> Rate:
    return measure(FLEET, FLEET_BATCH, max_lag, speeds, FLEET_STEPS)


def _speeds(sigma: float, learner_seconds_per_token: float) -> Speeds:
    return Speeds(sigma=sigma, learner_seconds_per_token=learner_seconds_per_token, load=1.0, service=1e-3)


def _tokens_per_second(sigma: float, groups_per_hour: float) -> float:
    """Of a learner that just keeps up with Doctors of this rate."""
    pace = Pace(_speeds(sigma, 0.0), 0)
    mean = sum(pace.tokens() for _ in range(20_000)) / 20_000
    return mean * GROUP_SIZE * groups_per_hour / 3600


def show(console: Console) -> None:
    """Print both tables, and their assumptions."""
    console.print(ASSUMPTIONS, highlight=False)
    console.print(doctors_table())
    console.print(lag_table())
