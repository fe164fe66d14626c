"""Are generated tasks valid, and generated fast enough? Without a model, on one core.

    python -m bench.scribe --data medec_ms_train_pairs.jsonl --against MEDEC-validation.csv --page scribe.html

Makes tasks of the verdict game, prints their figures with the bounds of docs/design.md, and writes a page with
examples, 200 injected errors and 100 rewordings for a medical reader. Exit code 1 when a bound is broken, 2 for a
wrong call.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from bench import scribe_reader
from bench.scribe_errors import Figure, Made, counts, errors, tellings
from bench.scribe_page import document
from common.flags import flag_count, flag_path
from common.records import LabelledTask, Rejection
from common.spec_errors import problem_line, problems
from envs.conformance.baselines import SILENT
from envs.conformance.leak_probe import asymmetry, leaks
from envs.verdict.checker import Checker
from envs.verdict.data.medec import Note, clean_version, load_notes
from envs.verdict.data.overlap import TASK_LIMIT, Reference
from envs.verdict.environment import VerdictEnvironment, source_of
from envs.verdict.scribe import gate
from envs.verdict.scribe.noise import LEAST_KINDS
from envs.verdict.spec import BUNDLED, DataSpec, QuadrantMix, VerdictSettings

TASKS = 2000
RATE = 500.0  # tasks per second of one core's time
GATED = 1000  # sentences that the gate is timed on
LEAK = 0.60  # AUC
CHANCE = 0.01  # smallest p-value at which an operator's rates may differ by label
NOISE = 3  # edits of a decoy, at least
SOFT = ("noise:", "reword:", "retell:", "move")  # operators that must not know the label


def generate(env: VerdictEnvironment, count: int) -> Made:
    """Tasks of the first `count` slots, by code only, and how fast the gate is."""
    outcomes = list[LabelledTask | Rejection]()

    async def run() -> None:
        for index in range(count):
            slot = env.plan(index)
            outcomes.append(await env.propose(slot, random.Random(slot.seed), SILENT))

    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(run())
    return Made(
        tasks=tuple(item for item in outcomes if isinstance(item, LabelledTask)),
        rejections=tuple(item for item in outcomes if isinstance(item, Rejection)),
        cpu_s=time.process_time() - cpu,
        wall_s=time.perf_counter() - wall,
        gate_rate=_gate_rate(env),
    )


def figures(env: VerdictEnvironment, made: Made, data: DataSpec) -> list[Figure]:
    """All figures of the table and the page."""
    count = len(made.tasks) + len(made.rejections)
    rate = count / made.cpu_s
    return [
        Figure(name="notes", value=str(env.sources)),
        Figure(name="tasks/s", value=f"{rate:.0f}", bound=f">= {RATE:.0f}", ok=rate >= RATE),
        Figure(name="tasks/s by the clock", value=f"{count / made.wall_s:.0f}"),
        Figure(name="gate, sentences/s", value=f"{made.gate_rate:.0f}"),
        *_mix(made, data.quadrants, count),
        *_fallbacks(made),
        *errors(env, made, data.path == BUNDLED),
        *tellings(made),
        *_truths(env, made, data.heldout),
        *_probes(env, made),
        *([_overlap(made, data.evaluation)] if data.evaluation else []),
    ]


def _gate_rate(env: VerdictEnvironment) -> float:
    """Rewordings that the gate judges per second of one core's time."""
    sentences = [sentence for note in env.sources.notes for sentence in note.sentences][:GATED]
    cpu = time.process_time()
    for sentence in sentences:
        gate.check(sentence, f"On review, {sentence[:1].lower()}{sentence[1:]}")
    return len(sentences) / (time.process_time() - cpu)


def _mix(made: Made, mix: QuadrantMix, count: int) -> list[Figure]:
    drawn = Counter(task.task.provenance.kind for task in made.tasks)
    total = sum(mix.model_dump().values())
    wanted = {name: count * share / total for name, share in mix.model_dump().items()}
    return [
        Figure(name=f"quadrant {name}", value=str(drawn[name]), bound=f"{n:g}", ok=drawn[name] == n)
        for name, n in wanted.items()
    ]


def _fallbacks(made: Made) -> list[Figure]:
    refused = Counter(item.reason for item in made.rejections)
    steps = Counter(
        ":".join(operator.split(":")[:2]) if operator.startswith("reword:rule") else operator
        for task in made.tasks
        for operator in task.task.provenance.operators
        if operator.startswith("reword:")
    )
    return [
        Figure(name="rejected", value=counts(refused) or "none"),
        Figure(name="rewordings without a model", value=counts(steps) or "none"),
    ]


def _noise(decoys: Sequence[LabelledTask]) -> list[Figure]:
    kinds = [[o for o in task.task.provenance.operators if o.startswith("noise:")] for task in decoys]
    few = sum(len(names) < NOISE or len(set(names)) < LEAST_KINDS for names in kinds)
    mean = sum(map(len, kinds)) / max(1, len(kinds))
    return [
        Figure(name="decoys with too few edits", value=str(few), bound="0", ok=not few),
        Figure(name="edits a decoy", value=f"{mean:.1f}; {counts(Counter(name for names in kinds for name in names))}"),
    ]


def _truths(env: VerdictEnvironment, made: Made, heldout: float) -> list[Figure]:
    sources = _sources(env.sources.notes)
    inverts = {task.task.task_id for task in made.tasks if _inverts(task, sources)}
    decoys = [task.task.task_id for task in made.tasks if task.task.provenance.kind == "synthetic_decoy"]
    exact = sum(task_id in inverts for task_id in decoys)
    checker = Checker(env.sources.notes, heldout, phrases=env.sources.phrases)
    wrong = [reason for task in made.tasks for reason in [checker.disagreement(task)] if reason]
    first = f", the first: {wrong[0]}" if wrong else ""
    return [
        *_noise([task for task in made.tasks if task.task.provenance.kind == "synthetic_decoy"]),
        Figure(name="decoys that invert", value=str(exact), bound=f"all {len(decoys)}", ok=exact == len(decoys)),
        _all("tasks that invert", len(inverts), len(made.tasks)),
        Figure(name="checker disagrees", value=f"{len(wrong)}{first}", bound="0", ok=not wrong),
    ]


def _probes(env: VerdictEnvironment, made: Made) -> list[Figure]:
    texts = ["\n".join(message.content for message in env.begin(task.task)[1].messages) for task in made.tasks]
    positive = [task.label.truth["error_type"] is not None for task in made.tasks]
    areas = leaks(texts, positive, [task.task.provenance.vignette for task in made.tasks])
    soft = [[o for o in task.task.provenance.operators if o.startswith(SOFT)] for task in made.tasks]
    name, chance = asymmetry(soft, positive)
    return [
        *(
            Figure(name=f"leak, {name}", value=f"{area:.3f}", bound=f"<= {LEAK}", ok=area <= LEAK)
            for name, area in areas.items()
        ),
        Figure(name=f"symmetry, {name}", value=f"p {chance:.2f}", bound=f"p >= {CHANCE}", ok=chance >= CHANCE),
    ]


def _overlap(made: Made, against: Path) -> Figure:
    kept_away = Reference(note.text for note in load_notes(against))
    highest = max(kept_away.containment(" ".join(task.task.context["sentences"])) for task in made.tasks)
    return Figure(name="4-grams shared", value=f"{highest:.3f}", bound=f"<= {TASK_LIMIT}", ok=highest <= TASK_LIMIT)


def _all(name: str, count: int, total: int) -> Figure:
    return Figure(name=name, value=str(count), bound=f"all {total}", ok=count == total)


def _sources(notes: Sequence[Note]) -> dict[str, Note]:
    """Every note that a task may come from, by id: those of the file and the corrected versions."""
    return {n.note_id: n for note in notes for n in ((note, clean_version(note)) if note.is_error else (note,))}


def _inverts(task: LabelledTask, sources: dict[str, Note]) -> bool:
    return "\n".join(source_of(task)).encode() == "\n".join(sources[task.task.provenance.source].sentences).encode()


def _page(env: VerdictEnvironment, made: Made, lines: Sequence[Figure], data: DataSpec, seed: int) -> str:
    sources = _sources(env.sources.notes)
    checker = Checker(env.sources.notes, data.heldout, phrases=env.sources.phrases)
    judged = scribe_reader.section(
        "Injected errors", scribe_reader.injections(made.tasks, checker, sources, seed)
    ) + scribe_reader.section("Rewordings", scribe_reader.rewordings(made.tasks, sources, seed))
    return document(lines, made.tasks, sources, judged)


def show(lines: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table("figure", title="Tasks made without a model")
    table.add_column("measured", overflow="fold")
    table.add_column("bound", no_wrap=True)
    table.add_column("ok", no_wrap=True)
    for line in lines:
        table.add_row(line.name, line.value, line.bound, {None: "", True: "yes", False: "NO"}[line.ok])
    Console(width=140, markup=False, emoji=False).print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scribe", description="Measure tasks that are made without a model."
    )
    parser.add_argument("--data", default="bundled", help="`bundled`, a MEDEC CSV or a pairs .jsonl")
    parser.add_argument("--against", type=flag_path, help="evaluation notes that no task may resemble")
    parser.add_argument("--tasks", type=flag_count, default=TASKS, help="slots of the plan")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=flag_path, help="where to write the page")
    options = parser.parse_args(arguments)
    try:
        data = DataSpec(path=options.data, proposer_tries=0, evaluation=options.against)
        env = VerdictEnvironment(VerdictSettings(data=data), options.seed)
        made = generate(env, options.tasks)
        if not made.tasks:
            raise ValueError(f"{options.data}: no task can be made of these notes: {made.rejections[0].reason}")
        lines = figures(env, made, data)
    except ValidationError as error:
        print("; ".join(map(problem_line, problems(error))), file=sys.stderr)
        return 2
    except ValueError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    show(lines)
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(_page(env, made, lines, data, options.seed), encoding="utf-8")
        print(f"page: {options.page}")
    return 1 if any(line.ok is False for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
