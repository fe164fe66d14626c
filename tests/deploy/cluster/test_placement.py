"""Placement on a Ray cluster of several raylets, without models: actors that only say where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private.state import available_resources_per_node
from ray.cluster_utils import Cluster

from common.config import PoolSpec, RunSpec
from deploy import cli
from deploy.cluster import placement as placement_module
from deploy.cluster import placement_groups
from deploy.cluster.gpu_layout import Group, Node, gpu_share, places, preferred_node, stays_here
from deploy.cluster.placement import Placement
from deploy.cluster.placement_groups import waiting
from learner import rank_actor as learner_actor
from tests.actors.fake_env import FakeEnv
from tests.deploy.cluster.local_cluster import machine, machines
from tests.deploy.cluster.somewhere import Somewhere

GPUS = 4


def node8(*flags: str) -> RunSpec:
    return cli.parse(["deploy/node8.yaml", "--hardware.nodes", "3", "--hardware.gpus", f"{GPUS}", *flags]).spec


def node(name: str, free: float, gpus: float = GPUS) -> Node:
    return Node(name=name, gpus=gpus, free=free)


def engine(gpus: float = 1) -> Group:
    return Group(name="doctors-3", kind="engines", gpus=(gpus,), remedy="pools.engines")


def test_the_learner_stays_together_with_the_driver_and_engines_spread() -> None:
    found = {place.group.name: place.nodes for place in places(node8())}
    assert found == {
        "the learner": ("node 0",) * 4,
        "scribes-0": ("node 1",),
        "doctors-0": ("node 2",),
        "doctors-1": ("node 1",),
        "doctors-2": ("node 2",),
    }


def test_ranks_that_no_machine_holds_fill_one_machine_after_another() -> None:
    learner, *_ = places(node8("--learner.ranks", "8"))
    assert learner.nodes == ("node 0",) * 4 + ("node 1",) * 4


def test_without_gpus_everything_is_with_the_driver_and_the_bundles_ask_for_no_more() -> None:
    spec = cli.parse(["deploy/smoke.yaml", "--hardware.nodes", "2"]).spec
    found = places(spec)
    assert [place.nodes for place in found] == [("node 0",), ("node 0",)]
    assert [place.group.bundles("10.0.0.1") for place in found] == [[{"node:10.0.0.1": 0.001}]] * 2
    assert engine(gpus=2).bundles(None) == [{"GPU": 2}]


@pytest.mark.parametrize("transport", ["shm", "broadcast", "adapter"])
def test_a_run_without_gpus_stays_with_the_driver_over_every_transport(transport: str) -> None:
    assert stays_here(cli.parse(["deploy/smoke.yaml", "--weights.transport", transport]).spec)
    lora = "--learner.lora_rank", "8"
    assert stays_here(node8("--weights.transport", transport, *lora)) == (transport != "broadcast")


@pytest.mark.parametrize("wanted", range(2, 40))
def test_equal_shares_of_one_card_fit_it_as_ray_counts(wanted: int) -> None:
    spec = RunSpec(backend="cuda", pools=(PoolSpec(engines=wanted - 1),))
    assert wanted * round(gpu_share(spec, 1) * 10_000) <= 10_000


def test_an_engine_goes_where_most_is_free_and_nowhere_when_no_machine_has_enough() -> None:
    nodes = [node("driver's", 1), node("b", 2), node("c", 2)]
    assert preferred_node(engine(), nodes) == nodes[1]
    assert preferred_node(engine(gpus=3), nodes) is None


@pytest.mark.parametrize(
    ("group", "together", "nodes", "held", "line"),
    [
        (
            engine(),
            True,
            [node("a", 0), node("b", 0)],
            {"learner": 4, "engines": 4},
            "doctors-3 waits for 1 GPU: the cluster has 8, all in use (4 learner, 4 engines); add a node or lower "
            "pools.engines",
        ),
        (
            engine(gpus=2),
            True,
            [node("a", 1), node("b", 1)],
            {"learner": 4},
            "doctors-3 waits for 2 GPUs of one machine: the cluster has 8, 2 of them free (4 learner, 2 others); add a "
            "node or lower pools.engines",
        ),
        (
            Group(name="the learner", kind="learner", gpus=(0.5, 0.5), remedy="learner.ranks"),
            False,
            [node("a", 0.5, gpus=1)],
            {"engines": 0.5},
            "the learner waits for 1 GPU: the cluster has 1, 0.5 of them free (0.5 engines); add a node or lower "
            "learner.ranks",
        ),
    ],
)
def test_who_waits_says_for_what_and_who_has_it(
    group: Group, together: bool, nodes: list[Node], held: dict[str, float], line: str
) -> None:
    assert waiting(group, together, nodes, held) == line


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with machines(GPUS, GPUS, GPUS) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement_module, "Engine", Somewhere)
        patch.setattr(learner_actor, "LearnerActor", Somewhere)
        patch.setattr(placement_groups, "WAIT_SECONDS", 1.0)
        patch.setattr(placement_groups, "POLL_SECONDS", 0.1)
        yield made


class World:
    """The placement of a run, and what it said."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec, self.notes = spec, list[str]()
        self.placement = Placement(spec, FakeEnv(), self.notes.append)
        self.placement.logs = Path("no such folder")  # so no actor leaves a log in the working directory
        self.ranks: list[Any] = []
        self.engines: dict[str, Any] = {}

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in (*self.ranks, *self.engines.values()):
            self.placement.kill(handle)
        self.placement._groups.remove(self.placement._learner)

    async def alone(self) -> None:
        """Ray has counted back what earlier tests held."""
        await until(lambda: all(node.free == node.gpus for node in self.placement._groups.nodes()))

    async def start(self) -> None:
        """As a run does: ranks, the engines' processes before anyone asks for them, engines one after another."""
        self.ranks = self.placement.learner_ranks()
        await self.where(*self.ranks)
        self.placement.early_engines()
        early = set(self.placement._engines)
        for pool in self.spec.pools:
            for number in range(pool.engines):
                await self.where(self.add(pool, f"{pool.name}-{number}"))
        assert set(self.engines.values()) == early == set(self.placement._engines)

    def add(self, pool: PoolSpec, name: str) -> Any:
        self.engines[name] = self.placement.engine(pool, name)
        return self.engines[name]

    async def where(self, *handles: Any) -> list[str]:
        return [(await handle.where.remote())[0] for handle in handles]


async def until(true: Callable[[], bool], seconds: float = 240) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.1)


@pytest.mark.integration
@pytest.mark.parametrize("counts", ["now", "late"])
async def test_ray_puts_everyone_where_the_plan_says_however_late_it_counts(
    cluster: Cluster, counts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with World(node8()) as world:
        await world.alone()
        if counts == "late":
            before = available_resources_per_node()
            monkeypatch.setattr(placement_groups, "available_resources_per_node", lambda: before)
        machine = {f"node {n}": found.name for n, found in enumerate(world.placement._groups.nodes())}
        await world.start()
        assert machine["node 0"] == ray.get_runtime_context().get_node_id()
        for place in places(world.spec):
            handles = [world.engines[place.group.name]] if place.group.kind == "engines" else world.ranks
            assert await world.where(*handles) == [machine[name] for name in place.nodes], place.group.name


@pytest.mark.integration
async def test_every_actor_logs_to_a_file_of_its_own_in_the_runs_folder(cluster: Cluster, tmp_path: Path) -> None:
    with World(node8()) as world:
        world.placement.logs = tmp_path
        await world.start()
        await world.where(*world.ranks)
        names = [*world.engines, *(f"rank-{number}" for number in range(len(world.ranks)))]
        assert sorted(file.stem for file in tmp_path.iterdir()) == sorted(names)
        assert f"INFO run={world.spec.name} actor=rank-3 task=- actors.somewhere: asked" in (
            (tmp_path / "rank-3.log").read_text()
        )


@pytest.mark.integration
async def test_an_engine_too_many_waits_says_so_and_takes_the_room_of_one_that_leaves(cluster: Cluster) -> None:
    with World(node8("--learner.ranks", "8", "--learner.batch_groups", "64")) as world:
        await world.alone()
        await world.start()
        doctors = world.spec.pools[1]
        late = asyncio.ensure_future(world.where(world.add(doctors, "doctors-3")))
        full = "doctors-3 waits for 1 GPU: the cluster has 12, all in use (8 learner, 4 engines)"
        await until(lambda: f"{full}; add a node or lower pools.engines" in world.notes)
        assert not late.done()
        freed = await world.where(world.engines["doctors-1"])
        world.placement.kill(world.engines.pop("doctors-1"))
        assert await asyncio.wait_for(late, 120) == freed
        await until(lambda: world.notes[-1] == "doctors-3 is placed now")


@pytest.mark.integration
async def test_ranks_meet_where_rank_0_is_and_move_together_when_their_machine_is_lost(cluster: Cluster) -> None:
    far = machine(cluster, 6)
    with World(node8("--learner.ranks", "6", "--learner.batch_groups", "60")) as world:
        await world.alone()
        ranks = world.placement.learner_ranks()
        found = await asyncio.gather(*(rank.where.remote() for rank in ranks))
        assert {where for where, _ in found} == {far.node_id}
        assert len({meeting for _, meeting in found}) == 1 and ":" in found[0][1]
        cluster.remove_node(far, allow_graceful=False)
        await until(lambda: not world.placement._learner.placed)
        world.placement.learner_ranks()
        wants, has = "the learner waits for 6 GPUs of one machine", "the cluster has 12, 12 of them free"
        line = f"{wants}: {has}; add a node or lower learner.ranks"
        await until(lambda: line in world.notes)
        await asyncio.sleep(3 * placement_groups.WAIT_SECONDS)
        assert world.notes.count(line) == 1


@pytest.mark.integration
async def test_weights_that_travel_through_shared_memory_keep_everyone_on_the_drivers_machine(cluster: Cluster) -> None:
    far = machine(cluster, 6, node_ip_address="127.0.0.2")
    six = ("--learner.ranks", "6", "--learner.batch_groups", "60", "--learner.lora_rank", "16")
    with World(node8(*six, "--weights.transport", "adapter")) as near:
        await near.alone()
        assert far.node_id not in await near.where(*near.placement.learner_ranks())
    with World(node8(*six)) as wide:
        await wide.alone()
        assert set(await wide.where(*wide.placement.learner_ranks())) == {far.node_id}
    cluster.remove_node(far)
