"""The release tasks: listed by the generator's parameters and a hash of what is made of them.

    python -m envs.clinic.release triage_emergency 60 > envs/clinic/release_tasks/triage_emergency.jsonl

draws the list anew. Every twin of a pair is listed, so that each task has a partner that differs in one fact.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from math import ceil
from pathlib import Path

import msgspec

from common.records import LabelledTask, Record
from envs.clinic.domain import Domain, Parameters
from envs.clinic.domains import DOMAINS
from envs.clinic.tasks import PUBLIC, drawn, labelled_task, seed_in, signature, truth_of

FOLDER = Path(__file__).parent / "release_tasks"
"""A file of JSON lines by domain."""
SEED = 2012
SEEDS = {"triage_emergency": 2020}
"""Of the lists that are kept here, and by domain where another than SEED: the first from there on with whose list
`medserl check-env` finds no policy that does not read above its ceiling. Of sixty tasks one may be so by chance."""
SAMPLED = 500
"""Pairs by which the shares of the classes are known."""


class Listed(Record):
    """A release task. `sha256` is of all that can be found out, so that a change of the generator is seen."""

    name: str
    tier: str
    twin: int
    parameters: Parameters
    sha256: str


@cache
def listed(domain: str) -> tuple[Listed, ...]:
    """The rows of a domain, in order; none where it has no list."""
    path = FOLDER / f"{domain}.jsonl"
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return tuple(msgspec.json.decode(line, type=Listed) for line in lines)


def released(domain: Domain, row: Listed) -> LabelledTask:
    """The task of a row. Raises ValueError where the generator does not make it any more."""
    made = _made(domain, row.tier, row.parameters, row.twin, row.name)
    if signature(made.task.context) != row.sha256:
        raise ValueError(
            f"release task {row.name}: the generator makes another one now; python -m envs.clinic.release lists anew"
        )
    return made


def _made(domain: Domain, tier: str, parameters: Parameters, twin: int, name: str) -> LabelledTask:
    case = domain.make(tier, parameters, twin)
    return labelled_task(domain, tier, case, PUBLIC, f"release-{name.rpartition('_')[0]}-{_pair(name)}")


def _pair(name: str) -> int:
    """Twins follow each other, from 1 on."""
    return (int(name.rpartition("_")[2]) - 1) // 2


def new_list(domain: Domain, count: int, tier: str = "") -> Iterator[Listed]:
    """That many rows of a tier, or of the hardest one, with no signature twice, and classes as often as they are made.

    Classes of few tasks would else be far from their shares, and a policy that always gives one answer earn too much.
    """
    tier = tier or domain.tiers[-1]
    rng, seen, at = random.Random(f"{_seed(domain)}:{domain.name}"), set[str](), 0
    room = _room(domain, tier, count)
    while at < count:
        parameters = drawn(domain, tier, seed_in(PUBLIC, domain, tier, rng))
        names = [f"{domain.name}_{at + twin + 1:03}" for twin in (0, 1)]
        pair = [_made(domain, tier, parameters, twin, name) for twin, name in enumerate(names)]
        hashes, classes = [signature(one.task.context) for one in pair], Counter(map(_class, pair))
        if seen & set(hashes) or classes - room:
            continue
        seen.update(hashes)
        room -= classes
        for twin in (0, 1):
            yield Listed(name=names[twin], tier=tier, twin=twin, parameters=parameters, sha256=hashes[twin])
        at += 2


def _seed(domain: Domain) -> int:
    return SEEDS.get(domain.name, SEED)


def _room(domain: Domain, tier: str, count: int) -> Counter[str]:
    """The most tasks of each class in a list: its share of SAMPLED pairs, rounded up."""
    rng, found = random.Random(f"{_seed(domain)}:{domain.name}:{tier}:classes"), Counter[str]()
    for _ in range(SAMPLED):
        parameters = domain.draw(tier, rng)
        found.update(domain.make(tier, parameters, twin).truth.klass for twin in (0, 1))
    return Counter({name: ceil(count * times / found.total()) + 1 for name, times in found.items()})


def _class(labelled: LabelledTask) -> str:
    return truth_of(labelled.label).klass


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domain", choices=list(DOMAINS))
    parser.add_argument("count", type=int, help="an even number of tasks")
    options = parser.parse_args()
    for row in new_list(DOMAINS[options.domain], options.count):
        print(msgspec.json.encode(row).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
