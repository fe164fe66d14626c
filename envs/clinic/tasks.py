"""A case as a task of the contract, and which split it belongs to.

A split is a matter of the generator's parameters, by their hash: no case of one split is ever made in another, whatever
the seed of the run.
"""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import msgspec

from common.records import Label, LabelledTask, Limits, Provenance, Task
from envs.clinic.domain import Case, Domain, Parameters, Truth
from envs.clinic.domains import SEPARATOR, kit_name
from envs.clinic.world import World, as_json, world_of

ENV_ID = "clinic"
TRAIN, PUBLIC, HELDOUT = "train", "public", "heldout"
_SHARES = (HELDOUT, PUBLIC)
_OF = 10
"""Of ten hashes one is held out and one public."""


def split_of(parameters: Parameters) -> str:
    """The split of a pair of twins."""
    number = int(hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest(), 16) % _OF
    return _SHARES[number] if number < len(_SHARES) else TRAIN


def drawn(domain: Domain, tier: str, seed: int) -> Parameters:
    """The parameters of a seed."""
    return domain.draw(tier, random.Random(seed))


def seed_in(split: str, domain: Domain, tier: str, rng: random.Random) -> int:
    """The first of the generator's seeds whose parameters are of that split."""
    while True:
        seed = rng.getrandbits(32)
        if split_of(drawn(domain, tier, seed)) == split:
            return seed


def labelled_task(domain: Domain, tier: str, case: Case, split: str, source: str) -> LabelledTask:
    """The task. Its id is a hash of all that can be found out, after the name of its kit."""
    kit = kit_name(domain.name, tier)
    context = {"domain": domain.name, "tier": tier, "request": case.request, "world": as_json(case.world)}
    task = Task(
        env=ENV_ID,
        task_id=f"{kit}{SEPARATOR}{signature(context)[:16]}",
        split=split,
        context=context,
        limits=Limits(max_turns=domain.turns),
        provenance=Provenance(source=source, vignette=source, kind=kit),
    )
    # The world travels with the label as a text: a score replays the calls over it, and needs no task.
    truth = {**as_json(case.truth), "case": msgspec.json.encode(case.world).decode()}
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth=truth))


def signature(context: dict[str, Any]) -> str:
    """The hash of all that can be found out."""
    return hashlib.sha256(json.dumps(context, sort_keys=True).encode()).hexdigest()


def world_at_start(task: Task) -> World:
    """The world of a task."""
    return world_of(task.context["world"])


def world_of_label(label: Label) -> World:
    """The same, from the label."""
    return msgspec.json.decode(label.truth["case"], type=World)


def truth_of(label: Label) -> Truth:
    """The label as a domain reads it."""
    return msgspec.convert(label.truth, Truth)
