"""Figures of `bench.scribe` on errors: how many there can be, which were drawn, and where in the note they stand."""

from __future__ import annotations

from collections import Counter

from common.records import LabelledTask, Record, Rejection
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.scribe import edits, flow, retelling
from envs.verdict.scribe.artefacts import artefact
from envs.verdict.scribe.quadrants import AUGMENTED

TYPES = 0.05  # largest difference of a type's share between injected errors and the notes' own ones
COVERED = 0.80  # share of the training vignettes that take a new error
INNER = 0.60  # share of errors that do not end their note


class Made(Record):
    """The outcome of the first slots of the plan, the seconds that it took, and the gate's sentences a second."""

    tasks: tuple[LabelledTask, ...]
    rejections: tuple[Rejection, ...]
    cpu_s: float
    wall_s: float
    gate_rate: float


class Figure(Record):
    """One line of the table. `ok` is None where nothing is bounded."""

    name: str
    value: str
    bound: str = ""
    ok: bool | None = None


def errors(env: VerdictEnvironment, made: Made, is_bundled: bool) -> list[Figure]:
    """Tiers, rules and types of the injected errors, and how many there could be."""
    injected = [task for task in made.tasks if task.task.provenance.kind == "synthetic_injection"]
    tiers = Counter(task.task.provenance.tier for task in injected)
    rules = Counter(o for t in injected for o in t.task.provenance.operators if o.startswith("inject:A"))
    types = Counter(str(task.label.truth["error_type"]) for task in injected)
    own = Counter(str(error.error_type) for vignette in env.training for error in vignette.errors)
    offered = Counter({name: count for name, count in own.items() if types[name]})
    apart = max((abs(_share(types, name) - _share(offered, name)) for name in types | offered), default=0.0)
    return [
        *_possible(env, is_bundled),
        Figure(name="injection tiers", value=_shares(tiers)),
        Figure(name="rules of tier A", value=counts(rules) or "none"),
        Figure(name="types of the notes' own errors", value=_shares(own)),
        Figure(name="types of injected errors", value=_shares(types)),
        Figure(
            name="a type's shares apart, of those offered", value=f"{apart:.3f}", bound=f"<= {TYPES}", ok=apart <= TYPES
        ),
    ]


def tellings(made: Made) -> list[Figure]:
    """How augmented tasks are told of somebody else, and where the errors lie."""
    augmented = [task.task.provenance for task in made.tasks if task.task.provenance.kind in AUGMENTED]
    told = [[o for o in one.operators if o.startswith(retelling.OPERATOR)] for one in augmented]
    places = [task.label.truth for task in made.tasks if task.label.truth["sentence"] is not None]
    inner = sum(truth["sentence"] < truth["sentence_count"] - 1 for truth in places) / max(1, len(places))
    moved = sum(flow.OPERATOR in task.task.provenance.operators for task in made.tasks)
    kinds = counts(Counter(name for names in told for name in names))
    return [
        Figure(name="augmented tasks told of another", value=f"{sum(map(bool, told))} of {len(told)}; {kinds}"),
        Figure(name="tasks told in another order", value=f"{moved} of {len(made.tasks)}"),
        Figure(
            name="errors before the last sentence", value=f"{inner:.0%}", bound=f">= {INNER:.0%}", ok=inner >= INNER
        ),
    ]


def _possible(env: VerdictEnvironment, is_bundled: bool) -> list[Figure]:
    """How many different new errors the training notes can take, and in how many of their vignettes.

    The bundled notes are too few for the bound.
    """
    found, likely, covered, old, visible = set[tuple[str, str, str]](), 0, 0, 0, 0
    for vignette in env.training:
        bases = env.injector.bases(vignette)
        own = {sentence for error in vignette.errors for sentence in error.sentences}
        covered += bool(bases)
        for base in bases:
            for one in base.injections:
                right = base.note.sentences[one.edit.sentence]
                changed = edits.apply(base.note.sentences, one.edit)[one.edit.sentence]
                likely += one.likely and (vignette.name, right, changed) not in found
                found.add((vignette.name, right, changed))
                old += changed in own
                visible += artefact(right, changed, one.edit) is not None
    share = covered / len(env.training)
    return [
        Figure(name="new errors possible", value=f"{len(found)}, of them likely {likely}"),
        Figure(name="of these, the note's own errors", value=str(old), bound="0", ok=old == 0),
        Figure(name="of these, with an artefact", value=str(visible), bound="0", ok=visible == 0),
        Figure(
            name="vignettes that take one",
            value=f"{covered} of {len(env.training)} ({share:.0%})",
            bound="" if is_bundled else f">= {COVERED:.0%}",
            ok=None if is_bundled else share >= COVERED,
        ),
    ]


def counts(counts: Counter[str]) -> str:
    """Names with their counts, the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _share(counts: Counter[str], name: str) -> float:
    return counts[name] / max(1, counts.total())


def _shares(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count} ({_share(counts, name):.0%})" for name, count in counts.most_common()) or "none"
