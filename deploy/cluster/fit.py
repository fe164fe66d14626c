"""Why a run cannot work on its hardware: cards too full, starts that vLLM refuses, caches too small for the rollouts,
transports that do not reach."""

from __future__ import annotations

from collections.abc import Iterator

from common.architecture import Architecture
from common.budget import GIB, demand, most_concurrency
from common.config import RunSpec
from deploy.cluster.gpu_layout import Card, Tenant, engine_starts, offloaded_gib, one_machine, plan_memory, served

SHARE_OF_RAM = 0.8
"""Of a machine's memory, for offloaded optimizers; Ray, roles and processes have the rest."""


def problems(spec: RunSpec, arch: Architecture) -> tuple[list[str], tuple[Card, ...]]:
    """Why the run cannot work on its hardware, one line per reason, and the cards as far as they could be laid out."""
    if spec.backend == "cuda" and not spec.hardware.gpus:
        return ["hardware.gpus is 0: write how many GPUs a machine has, and hardware.gpu_gib"], ()
    try:
        for pool in spec.pools:
            heads = served(pool, arch).heads
            if heads % pool.tensor_parallel:
                return [f"pools.{pool.name}.tensor_parallel {pool.tensor_parallel} does not divide {heads} heads"], ()
        cards = plan_memory(spec, arch)
    except ValueError as error:
        return [str(error)], ()
    found = list(_overfull(cards)) or list(_refused_starts(cards))
    return [*found, *_offload(spec, arch), *_crowded(spec, arch), *_wrong_transport(spec, cards)], cards


def _overfull(cards: tuple[Card, ...]) -> Iterator[str]:
    for card in cards:
        if not card.fits:
            tenants = ", ".join(
                f"{tenant.name} {tenant.size / GIB:.1f} ({_largest(tenant)})" for tenant in card.tenants
            )
            yield f"{card.name}: {card.used:.1f} GiB do not fit the {card.usable:.1f} usable of {card.gib:g}: {tenants}"


def _largest(tenant: Tenant) -> str:
    items = sorted(tenant.items, key=lambda item: -item.size)[:3]
    return ", ".join(f"{item.what} {item.size / GIB:.1f}" for item in items)


def _refused_starts(cards: tuple[Card, ...]) -> Iterator[str]:
    for card in cards:
        for start in engine_starts(card):
            if not start.passes:
                yield (
                    f"{card.name}: vLLM would refuse {start.engine} at its {start.moment}: it asks for "
                    f"{start.request / GIB:.1f} GiB and {start.free / GIB:.1f} are free"
                )


def _offload(spec: RunSpec, arch: Architecture) -> Iterator[str]:
    gib = offloaded_gib(spec, arch)
    if spec.backend == "cuda" and gib > SHARE_OF_RAM * spec.hardware.ram_gib:
        yield (
            f"learner.offload_optimizer keeps {gib:.0f} GiB in the memory of one machine, more than "
            f"{SHARE_OF_RAM:.0%} of hardware.ram_gib {spec.hardware.ram_gib:g}: turn it off, or use LoRA"
        )


def _crowded(spec: RunSpec, arch: Architecture) -> Iterator[str]:
    for pool in spec.pools:
        own = served(pool, arch)
        most, asked = most_concurrency(spec, pool, own), spec.rollout.concurrency
        if most < asked:
            sequences = demand(spec, pool, own, asked).sequences
            what = f"holds rollout.concurrency {most} at most" if most else "holds not one task of each role"
            yield (
                f"pools.{pool.name}.kv_cache_gib {pool.kv_cache_gib:g} {what}: {asked} would be {sequences} "
                f"sequences at once"
            )


def _wrong_transport(spec: RunSpec, cards: tuple[Card, ...]) -> Iterator[str]:
    if spec.transport == "broadcast" and spec.backend == "cuda" and len(cards) == 1:
        yield "NCCL does not join two processes on one GPU: set weights.transport: shm, or adapter"
    if one_machine(spec) and spec.hardware.nodes > 1:
        yield (
            f"{spec.transport} travels through one machine's shared memory: set hardware.nodes: 1, or "
            "weights.transport: broadcast"
        )
