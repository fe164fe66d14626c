"""Policies without a model, by name: the ceiling, and what is scored without reading."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

from common.command_line import alike, meant
from common.records import LabelledTask
from envs.contract.env import Act, Environment
from envs.contract.probing import Policy as Begin
from evals.core.played import Policy

ORACLE, NULL, RANDOM = "oracle", "null", "random"


def named(env: Environment, blind: Mapping[str, Begin]) -> dict[str, Policy]:
    """The oracle first, then one that says nothing, then those that do not read."""

    def oracle(labelled: LabelledTask) -> Act:
        return env.oracle(labelled, random.Random(0))

    begun: dict[str, Begin] = {NULL: lambda: lambda _: "", **blind}
    return {ORACLE: oracle, **{name: _of_no_label(begin) for name, begin in begun.items()}}


def check(name: str, known: Collection[str]) -> None:
    """Raises ValueError for a name that is no policy's."""
    if name not in known:
        close = meant(alike(name, known)) or f": write one of {', '.join(known)}"
        raise ValueError(f"--policy {name}: no such policy{close}")


def _of_no_label(begin: Begin) -> Policy:
    return lambda _: begin()
