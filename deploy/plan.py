"""`medserl plan SPEC`: where a run's actors would go and how much memory they would need. Starts nothing.

Takes the flags of `medserl selfplay`; `--hardware.gpus 8 --hardware.gpu_gib 80` plans for other machines. A run that
does not fit is refused (exit code 2) with the smallest change of the spec that fits.
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from rich.table import Table

from common.architecture import Architecture, architecture
from common.backends import BACKENDS
from common.budget import GIB, cache, demand, longest_row, most_concurrency, trained_parameters, width
from common.command_line import BAD_INPUT, print_json
from common.config import PoolSpec, RunSpec
from deploy import cli, commands
from deploy.cluster.dtype import foreseen
from deploy.cluster.fit import problems
from deploy.cluster.gpu_layout import Card, Place, places, served
from deploy.job import verifier_exam
from deploy.locks.driver import driver_line
from deploy.report.comparison import unlike
from deploy.report.terminal import wide_console

Edit = tuple[str, Any]
"""A field of the spec and its new value."""
MOST_EDITS = 3
WRAPPED = 100  # characters of a long line of the dry run


def smallest_change(spec: RunSpec, arch: Architecture) -> tuple[Edit, ...] | None:
    """The fewest and mildest edits with which the run fits; None when no edits help."""
    fields = _edits(spec, arch)
    for count in range(1, MOST_EDITS + 1):
        for chosen in combinations(fields, count):
            for edits in product(*chosen):
                changed = edited(spec, edits)
                if changed is not None and not problems(changed, arch)[0]:
                    return edits
    return None


def _caches(spec: RunSpec, pool: PoolSpec, arch: Architecture) -> list[float]:
    """Smaller caches, GiB; the smallest that holds one task of each role where the present one does not."""
    own = served(pool, arch)
    if most_concurrency(spec, pool, own):
        return [pool.kv_cache_gib / part for part in (2, 4, 8)]
    unit = demand(spec, pool, own, 1).size / (pool.tensor_parallel * pool.engines)
    return [math.ceil(4 * unit / GIB) / 4]


def _concurrencies(spec: RunSpec, arch: Architecture) -> list[Edit]:
    """The largest concurrency that the present caches hold, for edits of nothing else."""
    most = min(most_concurrency(spec, pool, served(pool, arch)) for pool in spec.pools)
    return [("rollout.concurrency", most)] if 0 < most < spec.rollout.concurrency else []


def _edits(spec: RunSpec, arch: Architecture) -> list[list[Edit]]:
    """The fields that could be changed, mildest first, each with its values, mildest first."""
    learner = spec.learner
    fields: list[list[Edit]] = [
        [("weights.transport", way) for way in ("broadcast", "shm") if spec.transport in ("broadcast", "shm")],
        _concurrencies(spec, arch),
        [("learner.gradient_checkpointing", True)] if not learner.gradient_checkpointing else [],
        [("learner.logp_chunk", rows) for rows in (128, 64, 32) if rows < learner.logp_chunk],
        *(
            [(f"pools.{index}.kv_cache_gib", size) for size in _caches(spec, pool, arch)]
            for index, pool in enumerate(spec.pools)
        ),
        [("learner.zero_stage", stage) for stage in (2, 3) if stage > learner.zero_stage and learner.ranks > 1],
        [("sampling.group_size", spec.sampling.group_size // 2)] if spec.sampling.group_size > 3 else [],
        [("learner.lora_rank", rank) for rank in (32, 16, 8) if rank < (learner.lora_rank or 64)],
        [("learner.ranks", learner.ranks * times) for times in (2, 4, 8)],
    ]
    return [edits for edits in fields if edits]


def edited(spec: RunSpec, edits: tuple[Edit, ...]) -> RunSpec | None:
    """The spec after the edits; None when its parts no longer fit each other."""
    content = spec.model_dump()
    for field, value in edits:
        *path, last = field.split(".")
        section: Any = content
        for part in path:
            section = section[int(part) if part.isdigit() else part]
        section[last] = value
    try:
        return RunSpec(**content)
    except ValidationError:
        return None


def staleness(spec: RunSpec) -> str:
    """The bound on the lag, and the lag to expect when everything overlaps."""
    groups = spec.learner.batch_groups
    bound = (spec.buffer.max_lag + 1) * groups
    leased = min(bound, spec.rollout.doctors * spec.rollout.concurrency)
    expected = min(spec.buffer.max_lag, -(-leased // groups))
    return (
        f"lag <= {spec.buffer.max_lag}: at most {bound} groups between lease and training; expected "
        f"{expected}: Doctors work on up to {leased} groups, a step trains {groups}"
    )


def plan(spec: RunSpec, folder: Path) -> str:
    """The resolved spec and what follows from it, as text: what --dry-run prints."""
    engines = sum(pool.engines for pool in spec.pools)
    return (
        f"{yaml.safe_dump(spec.model_dump(mode='json'), sort_keys=False)}\n"
        f"{_not_default(spec)}"
        f"# run folder      {folder}\n"
        f"# actors          {engines} engines in {len(spec.pools)} pools, {spec.rollout.scribes} scribes, "
        f"{spec.rollout.doctors} doctors, {spec.learner.ranks} learner ranks, 1 replay buffer\n"
        f"# step            {spec.learner.batch_groups} groups x {spec.sampling.group_size} completions of at most "
        f"{spec.sampling.max_tokens} tokens\n"
        f"# staleness       {staleness(spec)}\n"
        + (f"# tier C          {verifier_exam.planned(spec)}\n" if any(env.needs_verifier for env in spec.envs) else "")
    )


def _not_default(spec: RunSpec) -> str:
    """The settings that are not the defaults, as comments."""
    found = unlike(spec.model_dump(mode="json"), RunSpec().model_dump(mode="json"))
    text = ", ".join(f"{name} {yaml_value(value)}" for name, (value, _) in found.items())
    lines = textwrap.wrap(text, WRAPPED, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {'' if number else 'not the default':15} {line}\n" for number, line in enumerate(lines))


def transport(spec: RunSpec, arch: Architecture) -> str:
    """How a policy version is sent, and its size."""
    way, b = spec.transport, width(spec)
    numbers = trained_parameters(spec, arch) if way == "adapter" else arch.text_parameters
    kept = "running sequences keep their version" if way == "adapter" else "engines pause, load and resume"
    means = {
        "adapter": "LoRA adapters through shared memory",
        "shm": "full weights through shared memory",
        "broadcast": f"full weights by broadcast ({BACKENDS[spec.backend].process_group})",
    }
    return f"{means[way]}, {numbers * b / GIB:.2f} GiB per version; {kept}"


def render(spec: RunSpec, arch: Architecture, cards: tuple[Card, ...]) -> list[Table | str]:
    """The plan as text."""
    return [_groups(places(spec)), "", _cards(cards), "", *_budgets(cards), *_facts(spec, arch)]


def _groups(found: tuple[Place, ...]) -> Table:
    table = _table("placement groups, in the order of their requests to Ray", ("group", "bundles", "go to"))
    for place in found:
        bundles = f"{len(place.nodes)} x {place.group.gpus[0]:.4g} GPU"
        table.add_row(place.group.name, bundles, " and ".join(dict.fromkeys(place.nodes)))
    table.add_row("no group", "buffer, routers, roles", "node 0, the driver's")
    return table


def _cards(cards: tuple[Card, ...]) -> Table:
    table = _table("cards", ("card", "share and actor", "peak GiB", "of GiB"))
    for card in cards:
        tenants = ", ".join(
            f"{tenant.share:.2g} {tenant.name}" if tenant.share else tenant.name for tenant in card.tenants
        )
        table.add_row(card.name, tenants, f"{card.used:.1f}", f"{card.gib:g}")
    return table


def _budgets(cards: tuple[Card, ...]) -> Iterator[Table | str]:
    kinds = {tenant.kind: tenant for card in cards for tenant in card.tenants}
    for kind, tenant in kinds.items():
        table = _table(f"{kind}: {tenant.size / GIB:.2f} GiB at the peak", ("GiB", "what", "moment", "derivation"))
        for item in tenant.items:
            table.add_row(f"{item.size / GIB:.2f}", item.what, ", ".join(item.phases) or "always", item.how)
        yield table
        yield ""


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if "GiB" in name else "left", overflow="fold")
    return table


def _facts(spec: RunSpec, arch: Architecture) -> Iterator[str]:
    prompt, row = longest_row(spec)
    n = spec.sampling.group_size
    group = f"{prompt} prompt + {n} x {spec.sampling.max_tokens} completion tokens"
    yield f"longest row   {row} packed positions; longest group: {group} = {prompt + n * spec.sampling.max_tokens}"
    for pool in spec.pools:
        yield f"{pool.name:13} {pool.engines} x {_at_once(spec, pool, arch)}"
    yield f"sync          {transport(spec, arch)}"
    yield f"staleness     {staleness(spec)}"
    if spec.backend == "cuda":
        yield f"driver        {driver_line()}"
    yield "not counted   the warm-up, which uses the cards alone, before engines and ranks start"


def _at_once(spec: RunSpec, pool: PoolSpec, arch: Architecture) -> str:
    """What rollouts ask of each engine, and what bounds it."""
    own = served(pool, arch)
    asked = demand(spec, pool, own, spec.rollout.concurrency)
    running = min(-(-asked.sequences // pool.engines), pool.max_num_seqs)
    return (
        f"{running} sequences at once: rollouts ask for {asked.sequences} of the pool, {asked.size / GIB:.2f} GiB of "
        f"its {cache(pool) / GIB:g} GiB of KV cache, which holds rollout.concurrency "
        f"{most_concurrency(spec, pool, own)}; max_num_seqs is {pool.max_num_seqs}"
    )


def refusal(spec: RunSpec, arch: Architecture, found: list[str]) -> str:
    """Why the run is refused and what would help, as text."""
    edits = smallest_change(spec, arch)
    if edits is None:
        advice = f"no {MOST_EDITS} changes of the spec make it fit: it needs more or larger cards (hardware)"
    else:
        changes = (f"{_field(spec, edit)}: {yaml_value(edit[1])}" for edit in edits)
        advice = f"the smallest change that fits: {' and '.join(changes)}"
    return "\n".join([*found, advice])


def _field(spec: RunSpec, edit: Edit) -> str:
    """The field of an edit, with the pool's name instead of its number."""
    path = edit[0].split(".")
    if path[0] == "pools":
        path[1] = spec.pools[int(path[1])].name
    return ".".join(path)


def yaml_value(value: Any) -> str:
    """A value as it is written in a spec."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_json(spec: RunSpec, arch: Architecture, found: list[str], cards: tuple[Card, ...]) -> dict[str, Any]:
    """The plan for scripts; sizes in GiB. `smallest_change` is null when the run fits, or when no change helps."""
    edits = smallest_change(spec, arch) if found else None
    return {
        "name": spec.name,
        "fits": not found,
        "problems": found,
        "smallest_change": None if edits is None else {_field(spec, edit): edit[1] for edit in edits},
        "dtype": spec.model.dtype,
        "transport": transport(spec, arch),
        "staleness": staleness(spec),
        "cards": [_card(card) for card in cards],
    }


def _card(card: Card) -> dict[str, Any]:
    tenants = [{"actor": one.name, "share": one.share, "gib": one.size / GIB} for one in card.tenants]
    return {"name": card.name, "gib": card.gib, "used_gib": card.used, "fits": card.fits, "actors": tenants}


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m deploy.plan`."""
    return run(commands.parse("plan", "python -m deploy.plan", arguments))


def run(command: cli.Command) -> int:
    """Print the plan. 0 when the run fits, else 2 and why on standard error."""
    spec, dtype = foreseen(command.spec)
    try:
        arch = architecture(spec.model.source)
        for pool in spec.pools:
            served(pool, arch)  # its facts are at hand
    except ValueError as error:
        return _refuse(str(error))
    found, cards = problems(spec, arch)
    if command.json:
        print_json(as_json(spec, arch, found, cards))
        return BAD_INPUT if found else 0
    if cards:
        fullest = max(cards, key=lambda card: card.used / card.gib)
        fits = "does not fit" if found else "fits"
        print(f"{fits}: at the peak {fullest.used:.1f} of {fullest.gib:g} GiB ({fullest.name})")
    print(dtype)
    for part in render(spec, arch, cards) if cards else ():
        wide_console().print(part, highlight=False, soft_wrap=isinstance(part, str))
    return _refuse(refusal(spec, arch, found)) if found else 0


def _refuse(message: str) -> int:
    print("\n".join(f"plan: {line}" for line in message.splitlines()), file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
