"""deploy/node8.yaml on a cluster of three machines, of which one is lost: real Ray, vLLM and DeepSpeed, faked GPUs.

The weights are broadcast to engines on all of them, over gloo.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import ray
from ray._private.state import actors
from ray.util.placement_group import placement_group_table

from common.backends import BACKENDS
from deploy import cli, stop
from deploy.cluster.gpu_layout import places
from deploy.report.rollout_tables import read_run
from simulator.chaos_job import Job
from tests.deploy.cluster.local_cluster import machine, machines
from tests.deploy.faked_gpus import FAKED

SPEC = Path(__file__).parents[2] / "deploy" / "specs" / "node8.yaml"
STEPS = 500  # more than it makes: it is stopped when the engine that waited has served
GPUS = 2  # of a machine
# Node8's pools and several ranks, but 3 engines instead of 4 and 2 ranks instead of 4: they share two cores here.
SMALL = {"max_num_seqs": 16, "kv_cache_gib": 0.25}
POOLS = [
    {"name": "scribes", "serves": ["scribe"], "engines": 1, **SMALL},
    {"name": "doctors", "serves": ["doctor"], "engines": 2, **SMALL},
]
FLAGS = {
    "steps": STEPS,
    "backend": "cpu",
    "model.source": "tiny",
    "model.context": 1024,
    "pools": json.dumps(POOLS),
    "sampling.group_size": 2,
    "sampling.max_tokens": 16,
    "rollout.concurrency": 4,
    "buffer.capacity": 16,
    "learner.batch_groups": 4,
    "learner.ranks": 2,
    "warm_up.steps": 5,
    "hardware.nodes": 3,
    "hardware.gpus": GPUS,
}


def placed() -> dict[str, set[str]]:
    """The machines of each group that stands, by its name."""
    groups = [group for group in placement_group_table().values() if group["state"] == "CREATED"]
    return {group["name"].partition(" #")[0]: set(group["bundles_to_node_id"].values()) for group in groups}


def machines_of(kind: str) -> set[str]:
    """Where the living actors of a class are."""
    living = (actor for actor in actors().values() if actor["State"] == "ALIVE")
    return {actor["Address"]["NodeID"] for actor in living if actor["ActorClassName"] == kind}


def served(job: Job) -> set[str]:
    """The engines that sampled what was trained."""
    return set(read_run(job.folder)["engine"].to_pylist())


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_a_run_on_three_machines_is_placed_as_planned_and_survives_the_loss_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "cpu", FAKED)
    flags = [part for name, value in FLAGS.items() for part in (f"--{name}", f"{value}")]
    job = Job(
        tmp_path / "runs",
        "nodes",
        SPEC,
        [*flags, "--model.cache", f"{tmp_path / 'cache'}"],
        program="tests.deploy.faked_gpus",
    )
    with machines(GPUS, GPUS, GPUS) as cluster:
        job.start()
        job.wait(job.rows, "the first step")
        here, found = ray.get_runtime_context().get_node_id(), placed()
        alike: dict[str, set[str]] = {}  # a plan's machine -> Ray's
        for place in places(cli.parse([str(SPEC), *flags]).spec):
            for name in place.nodes:
                alike.setdefault(name, set()).update(found[place.group.name])
        assert alike["node 0"] == {here} and all(len(ids) == 1 for ids in alike.values())
        assert len(set.union(*alike.values())) == 3
        for kind in ("ReplayBuffer", "EnginePool", "Scribe", "Doctor"):
            assert machines_of(kind) == {here}, kind

        (lost,) = alike["node 2"]
        assert found["doctors-0"] == {lost}
        cluster.remove_node(next(node for node in cluster.worker_nodes if node.node_id == lost), allow_graceful=False)
        job.wait(
            lambda: "doctors-0.1 waits for 1 GPU: the cluster has 4, all in use (2 learner, 2 engines)" in job.text(),
            "the note",
        )
        job.step_after(time.time())
        machine(cluster, GPUS)
        job.wait(lambda: "doctors-0.1 is placed now" in job.text(), "a place")
        job.wait(lambda: "doctors-0.1" in served(job), "a rollout of the engine that waited")
        assert stop.main([str(job.folder)]) == 0
        assert job.finish() == 0, job.text()

    accounts = job.accounts()
    assert accounts.balance and set(accounts.steps.values()) == {4}, accounts
    assert [row["step"] for row in job.rows()] == list(range(1, len(accounts.steps) + 1))
    assert {"doctors-0", "doctors-1", "doctors-0.1"} <= served(job)
    assert not re.search(r"learner rank \d died", job.text())
