"""Which card each actor with a model gets, and the memory that each card then needs. Arithmetic only:
placement_groups.py asks Ray for the same groups, on the same machines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import msgspec

from common.architecture import Architecture, architecture
from common.backends import BACKENDS
from common.budget import CONTEXT_BYTES, GIB, Item, engine_items, engine_request, held, learner_items, offloaded, peak
from common.config import PoolSpec, RunSpec
from common.records import Record
from common.sections import BASE

VISIBLE = 0.98
"""Share of a card's memory that programs see: 23.5 GiB of an RTX 4090's 24."""
SPARE_GIB, SPARE = 1.0, 0.03
"""What stays free, GiB or a share of the card, whichever is more: for fragmentation, cuBLAS, vLLM's profile run."""
RAY_BYTES = int(0.8 * GIB)  # Ray's own processes and the driver (assumed)
ROLE_BYTES = int(0.2 * GIB)  # an actor without a model (assumed)
PARTS = 10_000
"""Ray counts GPUs in these fractions, and rounds to the nearest."""

MARK = 0.001
"""Share of Ray's resource `node:ADDRESS`, of which every machine has 1."""


class Node(Record):
    """A machine of the cluster. The driver's comes first wherever nodes are listed."""

    name: str  # Ray's node id; "node 0" in a plan
    gpus: float
    free: float  # GPUs


class Group(Record):
    """One placement group: a bundle for each learner rank, or one bundle for an engine with all its shards."""

    name: str
    kind: str  # who uses the cards, for messages: "learner" or "engines"
    gpus: tuple[float, ...]  # of each bundle
    remedy: str  # the spec field that makes the group smaller, or fewer

    @property
    def wanted(self) -> float:
        """GPUs of all bundles."""
        return sum(self.gpus)

    def bundles(self, address: str | None) -> list[dict[str, float]]:
        """The bundles for Ray: anywhere, or on the machine of an address, by a small share of its `node:` resource.

        Bundles without a GPU request only that share: Ray rejects empty bundles, and no cores are requested.
        """
        mark = {f"node:{address}": MARK} if address else {}
        return [{**({"GPU": gpus} if gpus else {}), **mark} for gpus in self.gpus]


class Place(Record):
    """A group, and the machine of each of its bundles."""

    group: Group
    nodes: tuple[str, ...]


class Tenant(Record):
    """An actor's memory, or its part on one of several cards."""

    name: str
    kind: str  # equal kinds carry equal items
    share: float  # of the card, as Ray is asked; 0 on a CPU
    items: tuple[Item, ...]
    request: int = 0  # bytes that vLLM must find free when this engine starts; 0 for what is no engine

    @property
    def size(self) -> int:
        """Bytes at its peak."""
        return peak(self.items)


class Card(Record):
    """One GPU, or a machine's memory where there is none."""

    name: str
    gib: float
    tenants: tuple[Tenant, ...] = ()

    @property
    def used(self) -> float:
        """GiB, if all tenants peak at the same time."""
        return sum(tenant.size for tenant in self.tenants) / GIB

    @property
    def usable(self) -> float:
        """GiB to plan for."""
        return VISIBLE * self.gib - max(SPARE_GIB, SPARE * self.gib)

    @property
    def fits(self) -> bool:
        """Whether its tenants' peaks leave what must stay free."""
        return self.used <= self.usable


class EngineStart(Record):
    """vLLM's first check of an engine: `free` bytes that the plan predicts, CUDA's context taken, against `request`."""

    engine: str
    moment: str
    free: int
    request: int

    @property
    def passes(self) -> bool:
        """Whether vLLM lets the engine start."""
        return self.free >= self.request


def engine_starts(card: Card) -> tuple[EngineStart, ...]:
    """The starts of every engine on a card, each beside all others in full.

    A learner that steps keeps its peak: torch's allocator gives nothing back to the card.
    """
    beside: dict[str, Callable[[Tenant], int]] = {
        "first start": lambda tenant: tenant.size if tenant.request else held(tenant.items, stepped=False),
        "resume": lambda tenant: tenant.size if tenant.request else held(tenant.items, stepped=True),
        "restart": lambda tenant: tenant.size,
    }
    return tuple(
        EngineStart(
            engine=engine.name,
            moment=moment,
            free=int(VISIBLE * card.gib * GIB) - CONTEXT_BYTES - sum(size(o) for o in card.tenants if o is not engine),
            request=engine.request,
        )
        for engine in card.tenants
        if engine.request
        for moment, size in beside.items()
    )


def served(pool: PoolSpec, arch: Architecture) -> Architecture:
    """The architecture that the engines of a pool hold: `arch`, that of model.source, or of a verifier its own.

    Raises ValueError for a model without facts to plan with.
    """
    if pool.model is None or pool.model == BASE:
        return arch
    return _named(pool.model, f"pools.{pool.name}.model")


@cache
def _named(source: str, field: str) -> Architecture:
    return architecture(source, field)


def gpus_wanted(spec: RunSpec) -> int:
    """GPUs when every engine shard and every learner rank has its own."""
    backend = BACKENDS[spec.backend]
    shards = sum(pool.engines * pool.tensor_parallel for pool in spec.pools)
    return shards * backend.gpus_per_engine + spec.learner.ranks * backend.gpus_per_learner_rank


def gpu_share(spec: RunSpec, there: float) -> float:
    """GPU share per requested GPU: below 1 when engines and learner must share the only card.

    Raises ValueError when the run wants more than the `there` GPUs of the cluster.
    """
    wanted = gpus_wanted(spec)
    if wanted > there and there != 1:
        raise ValueError(
            f"this run wants {wanted} GPUs ({wanted - spec.learner.ranks} for engines, {spec.learner.ranks} for the "
            f"learner) and the cluster has {there:g}: lower pools.engines or learner.ranks, or use one card for all"
        )
    return 1.0 if wanted <= there else math.floor(PARTS / wanted) / PARTS  # six times .1667 would not fit


def one_machine(spec: RunSpec) -> bool:
    """Whether the weights travel through a machine's memory, so that engines must be where the learner is."""
    return spec.transport in ("adapter", "shm")


def stays_here(spec: RunSpec) -> bool:
    """Whether all actors are on the driver's machine: the weights reach no other, or no GPU tells which to use."""
    return one_machine(spec) or not gpus_wanted(spec)


def learner_group(spec: RunSpec, share: float) -> Group:
    """The ranks."""
    gpus = BACKENDS[spec.backend].gpus_per_learner_rank * share
    return Group(name="the learner", kind="learner", gpus=(gpus,) * spec.learner.ranks, remedy="learner.ranks")


def engine_group(spec: RunSpec, pool: PoolSpec, engine_id: str, share: float) -> Group:
    """An engine. Its shards are processes below one actor, so they are one bundle."""
    gpus = BACKENDS[spec.backend].gpus_per_engine * pool.tensor_parallel * share
    return Group(name=engine_id, kind="engines", gpus=(gpus,), remedy="pools.engines")


def preferred_node(group: Group, nodes: Sequence[Node]) -> Node | None:
    """The machine for a whole group; None when none has enough free.

    For the learner the driver's, because the ranks write into the run's folder; for an engine the one with most GPUs
    free, so that engines spread.
    """
    room = [node for node in nodes if node.free + 1 / PARTS > group.wanted]
    return max(room, key=lambda node: node.free if group.kind == "engines" else 0, default=None)


def places(spec: RunSpec) -> tuple[Place, ...]:
    """Every group in the order in which a run asks for them, on the machines of `hardware`.

    Raises ValueError when they do not find room.
    """
    hardware = spec.hardware
    nodes = [Node(name=f"node {n}", gpus=hardware.gpus, free=hardware.gpus) for n in range(hardware.nodes)]
    share = gpu_share(spec, hardware.nodes * hardware.gpus)
    groups = [learner_group(spec, share)]
    groups += [engine_group(spec, pool, f"{pool.name}-{n}", share) for pool in spec.pools for n in range(pool.engines)]
    found = []
    for group in groups:
        names = _take(group, nodes)
        found.append(Place(group=group, nodes=names))
        nodes = [msgspec.structs.replace(n, free=n.free - group.gpus[0] * names.count(n.name)) for n in nodes]
    return tuple(found)


def _take(group: Group, nodes: Sequence[Node]) -> tuple[str, ...]:
    """The machine of each bundle: one machine for all if it has room, else the first machines with free GPUs."""
    if (node := preferred_node(group, nodes)) is not None:
        return (node.name,) * len(group.gpus)
    slots = [node.name for node in nodes for _ in range(int((node.free + 1 / PARTS) // group.gpus[0]))]
    if len(slots) < len(group.gpus):
        raise ValueError(
            f"{group.name} wants {group.gpus[0]:g} GPUs of one machine and none has as many free: lower "
            "pools.tensor_parallel, or give machines with more hardware.gpus"
        )
    return tuple(slots[: len(group.gpus)])


def plan_memory(spec: RunSpec, arch: Architecture) -> tuple[Card, ...]:
    """Every card with its tenants, machine by machine. Raises ValueError when they do not find room."""
    found = [(node, tenant) for place in places(spec) for node, tenant in _tenants(spec, arch, place)]
    hardware = spec.hardware
    if gpus_wanted(spec) == 0:
        tenants = (*(tenant for _, tenant in found), *_others(spec))
        return (Card(name="memory", gib=hardware.ram_gib, tenants=tenants),)
    used = {f"node {n}": 0.0 for n in range(hardware.nodes)}
    cards: dict[str, dict[str, list[Tenant]]] = {node: {} for node in used}
    for node, tenant in found:
        cards[node].setdefault(f"{node}, GPU {int(used[node])}", []).append(tenant)
        used[node] += tenant.share
    return tuple(
        Card(name=name, gib=hardware.gpu_gib, tenants=tuple(tenants))
        for there in cards.values()
        for name, tenants in there.items()
    )


def _tenants(spec: RunSpec, arch: Architecture, place: Place) -> list[tuple[str, Tenant]]:
    """The tenants of a group, one per card, each with its machine."""
    group = place.group
    if group.kind == "learner":
        items = learner_items(spec, arch)
        ranks = zip(place.nodes, group.gpus, strict=True)
        return [
            (node, Tenant(name=f"learner rank {rank}", kind="learner rank", share=gpus, items=items))
            for rank, (node, gpus) in enumerate(ranks)
        ]
    pool = next(pool for pool in spec.pools if pool.name == group.name.rpartition("-")[0])
    share = group.wanted / pool.tensor_parallel
    own = served(pool, arch)
    items = engine_items(spec, pool, own)
    request = engine_request(spec, pool, own) if BACKENDS[spec.backend].checks_free_memory else 0
    shard = Tenant(name=group.name, kind=f"engine of {pool.name}", share=share, items=items, request=request)
    return [(place.nodes[0], shard)] * pool.tensor_parallel


def offloaded_gib(spec: RunSpec, arch: Architecture) -> float:
    """GiB that the ranks of the machine with most of them keep in its memory."""
    ranks = [node for place in places(spec) if place.group.kind == "learner" for node in place.nodes]
    return max(ranks.count(node) for node in ranks) * offloaded(spec, arch) / GIB


def _others(spec: RunSpec) -> tuple[Tenant, ...]:
    roles = spec.rollout.scribes + spec.rollout.doctors + len(spec.pools) + 1
    ray = Item(what="Ray and the driver", size=RAY_BYTES, how="assumed")
    actors = Item(what="roles, routers, buffer", size=roles * ROLE_BYTES, how=f"{roles} actors, assumed")
    return (Tenant(name="Ray and roles", kind="Ray and roles", share=0, items=(ray, actors)),)
