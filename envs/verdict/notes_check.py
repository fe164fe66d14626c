"""What a file of notes is good for: `medserl data check notes.csv`.

Goes through its rows one by one: which can be used, and why others cannot. Then it shows tasks made of them, as a run
would make them without a model.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from pydantic import ValidationError

from common.command_line import BAD_INPUT, print_json
from common.flags import path_of
from common.records import LabelledTask, Record
from envs.contract.by_rule import tasks_by_rule
from envs.verdict.data.medec import Loaded, Note, load, split_of
from envs.verdict.data.sources import gather
from envs.verdict.environment import VerdictEnvironment, truth_of
from envs.verdict.scribe.injector import Injector, vignettes
from envs.verdict.scribe.phrases import Injection, decisions, mine
from envs.verdict.spec import BUNDLED, DataSpec, VerdictSettings

NAME = "data"
"""How its messages begin."""


class Checked(Record):
    """One note of the file, or one row that cannot be read: whether a run can use it, and what for, or why not."""

    place: str
    note_id: str
    words: int
    split: str
    usable: bool
    why: str


class Shown(Record):
    """A task made of a note: what the Doctor would read, and the label. The error's facts are None on a correct one."""

    kind: str
    source: str
    sentences: tuple[str, ...]
    tier: str
    error_type: str | None
    sentence: int | None
    correction: str | None


def run(args: Namespace) -> int:
    """Check and print. 0, or 2 and one line on standard error where no run can use the file."""
    refusal, tasks, notice = "", tuple[Shown, ...](), ""
    try:
        file = args.file if args.file == BUNDLED else str(path_of(args.file))
        data = DataSpec(path=file, phrases=args.phrases, max_words=args.max_words, skip_bad_rows=True)
        loaded = load(data.path, skip_bad_rows=True)
        rows = [*check(loaded, data), *_bad(loaded)]
    except ValidationError as error:
        return _refused("; ".join(f"data.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()))
    except ValueError as error:
        return _refused(error)
    try:
        env = VerdictEnvironment(VerdictSettings(data=data), 0)
        notice, tasks = env.notice, tuple(map(_shown, asyncio.run(_tasks(env, args.tasks))))
    except ValueError as error:
        refusal = str(error)
    if args.json:
        print_json(msgspec.to_builtins({"rows": rows, "tasks": tasks, "notice": notice, "refusal": refusal}))
    else:
        print("\n".join([*_table(rows), "", *_summary(rows), *([notice] if notice else ()), *_told(tasks)]))
    return _refused(refusal) if refusal else 0


def check(loaded: Loaded, data: DataSpec) -> list[Checked]:
    """What each note that could be read is good for, in file order. Raises ValueError as a run would."""
    sources = gather(data)
    errors = [note for note in sources.notes if note.is_error]
    held = data.heldout
    own = (note for note in errors if split_of(note.vignette, held) == "train")
    injector, stories = Injector(mine([*own, *sources.phrases])), vignettes(sources.notes)
    kept, twins = {note.note_id for note in sources.notes}, {note.vignette for note in errors}
    found = list[Checked]()
    for place, note in zip(loaded.places, loaded.notes, strict=True):
        words = len(note.text.split())
        if words > data.max_words:
            usable, why = False, f"longer than max_words {data.max_words}"
        elif note.note_id not in kept:
            usable, why = False, "too near to a note of data.evaluation"
        elif note.vignette in twins:
            usable, why = True, _labelled(note)
        else:
            bases = injector.bases(stories[note.vignette])
            usable, why = _clean(note, [one for base in bases if base.note == note for one in base.injections])
        split = split_of(note.vignette, held)
        found.append(Checked(place=place, note_id=note.note_id, words=words, split=split, usable=usable, why=why))
    return found


def _labelled(note: Note) -> str:
    if not note.is_error:
        return "correct version of a note with an error"
    return f"error of type {note.error_type} in sentence {note.error_sentence}"


def _clean(note: Note, found: Sequence[Injection]) -> tuple[bool, str]:
    """Whether an error can be put into a correct note, and of which kinds, or what is in the way."""
    proved = Counter(one.error_type for one in found if one.tier == "A")
    mined = len(found) - proved.total()
    if found:
        rules = f"the note itself proves {', '.join(f'{n} {kind}' for kind, n in sorted(proved.items()))}"
        return True, "errors that fit: " + "; ".join(
            [*([rules] if proved else ()), *([f"{mined} mined"] if mined else ())]
        )
    if not decisions(note.sentences):
        return False, "no sentence states a decision of this visit, such as 'was diagnosed with' or 'was started on'"
    return False, "it states a decision, but no rule applies to it and no phrase of an error note stands in it"


def _bad(loaded: Loaded) -> list[Checked]:
    return [
        Checked(place=line.partition(",")[0].partition(": ")[0], note_id="", words=0, split="", usable=False, why=line)
        for line in loaded.skipped
    ]


async def _tasks(env: VerdictEnvironment, count: int) -> list[LabelledTask]:
    return [task for _, task in await tasks_by_rule(env, env.plan, count)]


def _shown(made: LabelledTask) -> Shown:
    truth, origin = truth_of(made.label), made.task.provenance
    return Shown(
        kind=origin.kind,
        source=origin.source,
        sentences=tuple(made.task.context["sentences"]),
        tier=origin.tier,
        error_type=truth.error_type,
        sentence=truth.sentence,
        correction=truth.corrected_text,
    )


def _table(rows: Sequence[Checked]) -> Iterable[str]:
    places = {row.place: row.place.rpartition("/")[2] for row in rows}
    wide, width = (max(map(len, column), default=0) for column in (places.values(), (row.note_id for row in rows)))
    for row in rows:
        words = f"{places[row.place]:{wide}}  {row.note_id:{width}}  {row.words:4d} words  " if row.note_id else ""
        yield f"{words}{'yes' if row.usable else 'NO '}  {row.why}"


def _summary(rows: Sequence[Checked]) -> Iterable[str]:
    usable = [row for row in rows if row.usable]
    held = sum(row.split != "train" for row in usable)
    yield f"{len(usable)} of {len(rows)} rows can be used, {held} of them held out from training"


def _told(tasks: Iterable[Shown]) -> Iterable[str]:
    for number, task in enumerate(tasks, 1):
        label = f"error of type {task.error_type}, tier {task.tier}" if task.error_type else "no error"
        yield f"\nTask {number}: {task.kind} from {task.source}; label: {label}"
        for at, sentence in enumerate(task.sentences):
            yield f"  {'>' if at == task.sentence else ' '} {at:2d} {sentence}"
            if at == task.sentence:
                yield f"       right: {task.correction}"


def _refused(why: object) -> int:
    print(f"{NAME}: {why}", file=sys.stderr)
    return BAD_INPUT
