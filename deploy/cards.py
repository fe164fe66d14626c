"""Where the actors that hold a model go, and what each card then carries. Arithmetic only; `placement.py` does it."""

from __future__ import annotations

from common.architecture import Architecture
from common.backends import BACKENDS
from common.budget import GIB, Item, engine_items, learner_items, peak
from common.config import RunSpec
from common.records import Record

USABLE = 0.95
"""Of a card: the rest is for the driver and for what allocators cannot fill."""
RAY_BYTES = int(0.8 * GIB)  # Ray's own processes and the driver (assumed)
ROLE_BYTES = int(0.2 * GIB)  # an actor without a model (assumed)


class Tenant(Record):
    """An actor, or its part on one of several cards."""

    name: str
    kind: str  # equal kinds carry equal items
    share: float  # of the card, as Ray is asked; 0 on a CPU
    items: tuple[Item, ...]

    @property
    def size(self) -> int:
        """Bytes at its worst moment."""
        return peak(self.items)


class Card(Record):
    """One GPU, or a machine's memory where there is none."""

    name: str
    gib: float
    tenants: tuple[Tenant, ...] = ()

    @property
    def used(self) -> float:
        """GiB, if all tenants have their worst moment at once."""
        return sum(tenant.size for tenant in self.tenants) / GIB

    @property
    def fits(self) -> bool:
        return self.used <= USABLE * self.gib


def gpus_wanted(spec: RunSpec) -> int:
    """GPUs when every engine shard and every learner rank has its own."""
    backend = BACKENDS[spec.backend]
    shards = sum(pool.engines * pool.tensor_parallel for pool in spec.pools)
    return shards * backend.gpus_per_engine + spec.learner.ranks * backend.gpus_per_learner_rank


def gpu_share(spec: RunSpec, there: float) -> float:
    """Of a GPU, for one that wants a whole one: below 1 when engines and learner must share the only card.

    Raises ValueError when the run wants more than the `there` that a cluster has.
    """
    wanted = gpus_wanted(spec)
    if wanted > there and there != 1:
        raise ValueError(
            f"this run wants {wanted} GPUs ({wanted - spec.learner.ranks} for engines, {spec.learner.ranks} for the "
            f"learner) and the cluster has {there:g}: lower pools.engines or learner.ranks, or use one card for all"
        )
    return 1.0 if wanted <= there else 1.0 / wanted


def lay_out(spec: RunSpec, arch: Architecture) -> tuple[Card, ...]:
    """Every card with its tenants: ranks first, then engines, each on the first machine with room for all its shards.

    Raises ValueError when they do not find room.
    """
    if gpus_wanted(spec) == 0:
        return (Card(name="memory", gib=spec.hardware.ram_gib, tenants=(*_models(spec, arch, 0), *_others(spec))),)
    hardware = spec.hardware
    share = gpu_share(spec, hardware.nodes * hardware.gpus)
    names = [[f"node {node}, GPU {gpu}" for gpu in range(hardware.gpus)] for node in range(hardware.nodes)]
    if share < 1:
        return (Card(name=names[0][0], gib=hardware.gpu_gib, tenants=_models(spec, arch, share)),)
    cards = []
    for group in _groups(_models(spec, arch, share)):
        free = next((node for node in names if len(node) >= len(group)), None)
        if free is None:
            raise ValueError(
                f"{group[0].name} wants {len(group)} GPUs of one machine and none has as many free: lower "
                "pools.tensor_parallel, or give machines with more hardware.gpus"
            )
        cards += [Card(name=free.pop(0), gib=hardware.gpu_gib, tenants=(tenant,)) for tenant in group]
    return tuple(cards)


def _models(spec: RunSpec, arch: Architecture, share: float) -> tuple[Tenant, ...]:
    ranks = [
        Tenant(name=f"learner rank {rank}", kind="learner rank", share=share, items=learner_items(spec, arch))
        for rank in range(spec.learner.ranks)
    ]
    engines = [
        Tenant(
            name=f"{pool.name}-{index}",
            kind=f"engine of {pool.name}",
            share=share,
            items=engine_items(spec, pool, arch),
        )
        for pool in spec.pools
        for index in range(pool.engines)
        for _shard in range(pool.tensor_parallel)
    ]
    return (*ranks, *engines)


def _others(spec: RunSpec) -> tuple[Tenant, ...]:
    roles = spec.rollout.scribes + spec.rollout.doctors + len(spec.pools) + 1
    ray = Item(what="Ray and the driver", size=RAY_BYTES, how="assumed")
    actors = Item(what="roles, routers, buffer", size=roles * ROLE_BYTES, how=f"{roles} actors, assumed")
    return (Tenant(name="Ray and roles", kind="Ray and roles", share=0, items=(ray, actors)),)


def _groups(tenants: tuple[Tenant, ...]) -> list[list[Tenant]]:
    """Shards of one engine together."""
    groups: dict[str, list[Tenant]] = {}
    for tenant in tenants:
        groups.setdefault(tenant.name, []).append(tenant)
    return list(groups.values())
