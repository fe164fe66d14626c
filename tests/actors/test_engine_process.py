"""An engine in a Ray actor, as deploy places it: updated by the learner's own sender, then killed."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import torch
from ray.exceptions import RayActorError

from actors.engine import Engine
from actors.engine_arguments import environment
from common.weights import Canary
from learner.policy import merged_weights, sequence_logps
from learner.senders import ShmSender
from tests.actors.engine_cases import BOUND, MESSAGES, ROOT, engine_spec, moved_policy

pytestmark = pytest.mark.integration

SPEC = engine_spec()


@pytest.fixture
def handle(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    variables = {**environment(SPEC, SPEC.pools[0]), "PYTHONPATH": str(ROOT)}
    ray.init(address="local", include_dashboard=False, num_cpus=2, log_to_driver=False)
    kind = ray.remote(Engine).options(max_concurrency=100, num_cpus=0, runtime_env={"env_vars": variables})
    handle = kind.remote(SPEC, SPEC.pools[0], "e0")
    ray.get(handle.load.remote(tiny_model))
    yield handle
    ray.shutdown()


def shared(processes: tuple[int, ...]) -> set[Path]:
    """vLLM's shared memory that these processes have mapped, whether it has a name or not."""
    maps = "\n".join(Path(f"/proc/{pid}/maps").read_text() for pid in processes)
    return set(map(Path, re.findall(r"/dev/shm/psm_\w+", maps)))


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_killed_actor_takes_its_processes_along_and_leaves_nothing_in_shared_memory(
    handle: Any, tiny_model: Path
) -> None:
    policy = moved_policy(tiny_model, SPEC, seed=3)
    sender = ShmSender(f"test-{os.getpid()}", 0, lambda: merged_weights(policy, torch.float32), 60)
    ray.get(handle.pause.remote())
    assert sender.send(1, {"e0": handle}) == {}
    ray.get(handle.resume.remote(1))
    sender.close()
    ids = ray.get(handle.tokenize.remote(MESSAGES))[:96]
    report = ray.get(handle.prove.remote(ids))
    assert report.checksum == sender.checksum() != ""
    assert Canary(token_ids=ids, logps=tuple(sequence_logps(policy.module, ids))).gap(report.canary_logps) < BOUND.floor

    processes = ray.get(handle.process_ids.remote())
    assert len(processes) >= 2
    mapped = shared(processes)
    os.kill(processes[0], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while not all(gone(pid) for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [pid for pid in processes if not gone(pid)] == []
    with pytest.raises(RayActorError):
        ray.get(handle.check_health.remote())
    assert not [path for path in mapped if path.exists()]
