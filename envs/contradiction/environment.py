"""A game small enough to learn in minutes: is the drug given in this tiny note of the same class as the stated allergy?

    0 Fever.                    <thinking>ampicillin is penicillin and amoxicillin is penicillin</thinking>
    1 Given amoxicillin.        <verdict>Error: pharmacotherapy
    2 Allergy to ampicillin.    Sentence: 1
                                Correction: Given nothing.</verdict>

It has the verdict game's grammar and reward, and exists to show that the algorithm learns: nothing medical is claimed.
Four classes: with eight, the tiny model takes about twice as many steps to find that classes must be compared.
Only the two drugs together determine the label. Slots come in twins (2k the error, 2k+1 the clean one) that share
the allergy and the wording; in every epoch of the plan each drug is the allergy, and the drug given, equally often in
both. Kept out of training: a share `heldout` of the settings of the wordings, and a third of the (allergy, drug) pairs,
chosen so that every drug stays balanced on both sides.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, permutations, product

import msgspec

from common.records import Episode, Label, LabelledTask, Limits, Message, Provenance, Rejection, Reward, Task
from envs.contract.env import Complete, Slot, Turn
from envs.contract.game import Game
from envs.contradiction.report import ContradictionReport
from envs.contradiction.spec import ContradictionSettings
from envs.verdict.doctor import reward
from envs.verdict.doctor.grammar import Verdict, render

ENV_ID = "contradiction"
CLASSES = {
    "penicillin": ("amoxicillin", "ampicillin", "nafcillin"),
    "macrolide": ("erythromycin", "azithromycin", "clarithromycin"),
    "quinolone": ("ciprofloxacin", "levofloxacin", "ofloxacin"),
    "tetracycline": ("doxycycline", "minocycline", "tigecycline"),
}
CLASS_OF = {drug: name for name, drugs in CLASSES.items() for drug in drugs}
SIZE = 3  # drugs a class
ALLERGY, GIVEN = ("Allergy to", "Allergic to"), ("Given", "Started")
SYMPTOMS = ("Fever", "Cough", "Pain", "Nausea", "Fatigue", "Insomnia")
UNSEEN = 1  # a pair is held out when its drugs are this far apart in their classes (modulo SIZE)
TRAIN, SEEN_PAIR, UNSEEN_PAIR = "train", "seen_pair", "unseen_pair"  # the last two are held out

Frame = tuple[str, ...]
"""The lines of a note in order, with `{allergy}` and `{given}` in two of them."""


def vocabulary() -> tuple[str, ...]:
    """Every word that a note or an oracle's `<thinking>` may hold: what a tiny tokenizer should know."""
    lines = " ".join((*ALLERGY, *GIVEN, *SYMPTOMS, "nothing is and"))
    return tuple(sorted({*lines.split(), *CLASSES, *CLASS_OF}))


class Contradiction(Game):
    """See the module. `env_id` is `contradiction`; `part_of` distinguishes seen from unseen held-out pairs."""

    env_id = ENV_ID
    Settings = ContradictionSettings
    report = ContradictionReport()

    def __init__(self, settings: ContradictionSettings, seed: int) -> None:
        self._seed, self._scoring = seed, settings.reward
        frames = _frames()
        kept_out = min(max(1, round(settings.heldout * len(frames))), len(frames) - 1)
        self._train, self._heldout = frames[kept_out:], frames[:kept_out]

    @property
    def notice(self) -> str:
        """The notes are written by rule."""
        return f"{ENV_ID} writes its own notes"

    def plan(self, index: int) -> Slot:
        """The index-th training slot: an error at even indices, its clean twin at the odd index after it."""
        return self._slot(index, TRAIN, index // 2)

    def heldout_plan(self, index: int) -> Slot:
        """As `plan`, on kept-out wordings: slots 0 and 1 of every four with seen pairs, 2 and 3 with unseen ones."""
        twin = index // 2
        return self._slot(index, UNSEEN_PAIR if twin % 2 else SEEN_PAIR, twin // 2)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """Write the note of `slot` by rule: neither the Scribe's engine nor a draw beyond the slot's is used."""
        part, allergy, given = slot.source.split("/")
        frames = self._train if part == TRAIN else self._heldout
        task = self._task(slot, part, _fill(random.Random(slot.seed).choice(frames), allergy, given))
        return LabelledTask(task=task, label=_label(task, allergy, given))

    def open(self, task: Task) -> Turn:
        """The note and nothing else, one numbered sentence a line."""
        lines = "\n".join(f"{number} {text}" for number, text in enumerate(task.context["sentences"]))
        return Turn(messages=(Message(role="user", content=lines),))

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """The verdict game's reward table. Raises ValueError when episode and label are of different tasks."""
        if episode.task_id != label.task_id:
            raise ValueError(
                f"episode of task {episode.task_id} met the label of {label.task_id}; score it with its own"
            )
        return reward.score_as(self._scoring, version, episode, _truth(label))

    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        """The oracle's reply: names both classes, then the verdict. It scores the maximum."""
        truth = _truth(labelled.label)
        return render(
            Verdict(
                error=truth.error_type is not None,
                thinking=labelled.label.truth["thinking"],
                error_type=truth.error_type,
                sentence=truth.sentence,
                correction=truth.corrected_text,
            )
        )

    def part_of(self, task: Task) -> str:
        """`train`, or which kind of held-out task: `seen_pair` or `unseen_pair` of allergy and drug."""
        return task.provenance.source.split("/")[0]

    def _slot(self, index: int, part: str, twin: int) -> Slot:
        """Slot `index`, which holds the error (even) or the clean note (odd) of the `twin`-th vignette of `part`."""
        distances = [UNSEEN] if part == UNSEEN_PAIR else [d for d in range(SIZE) if d != UNSEEN]
        epoch, place = divmod(twin, len(CLASS_OF) * len(distances))
        shuffle = random.Random(f"{self._seed}:{part}:{epoch}")
        names = shuffle.sample(list(CLASSES), len(CLASSES))
        shift = shuffle.randrange(1, len(names))  # the clean twin's drug is of the class this many places on
        cells = list(product(range(len(names)), range(SIZE), distances))
        kind, allergy, distance = shuffle.sample(cells, len(cells))[place]
        clean = index % 2
        given = CLASSES[names[(kind + clean * shift) % len(names)]][(allergy + distance) % SIZE]
        return Slot(
            index=index,
            source=f"{part}/{CLASSES[names[kind]][allergy]}/{given}",
            kind="synthetic_decoy" if clean else "synthetic_injection",
            seed=random.Random(f"{self._seed}:{part}:frame:{twin}").getrandbits(32),
        )

    def _task(self, slot: Slot, part: str, sentences: Sequence[str]) -> Task:
        split = "train" if part == TRAIN else "heldout"
        return Task(
            env=ENV_ID,
            task_id=f"{ENV_ID}-{self._seed}-{split}-{slot.index}",
            split=split,
            context={"sentences": list(sentences)},
            limits=Limits(),
            provenance=Provenance(
                source=slot.source,
                vignette=f"{ENV_ID}-{self._seed}-{split}-{slot.index // 2}",
                kind=slot.kind,
            ),
        )


def _frames() -> list[Frame]:
    """Every three-line wording and as many four-line ones, in an order that is the same for every seed."""
    shuffle = random.Random(ENV_ID)
    by_length = [
        [
            frame
            for stated, given in product(ALLERGY, GIVEN)
            for symptoms in combinations(SYMPTOMS, count)
            for frame in permutations((f"{stated} {{allergy}}", f"{given} {{given}}", *symptoms))
        ]
        for count in (1, 2)
    ]
    frames = by_length[0] + shuffle.sample(by_length[1], len(by_length[0]))
    return shuffle.sample(frames, len(frames))


def _fill(frame: Frame, allergy: str, given: str) -> list[str]:
    return [f"{line.format(allergy=allergy, given=given)}." for line in frame]


def _label(task: Task, allergy: str, given: str) -> Label:
    """The truth, and the thinking of the oracle: worded alike on both labels, so that the classes must be compared."""
    sentences: list[str] = task.context["sentences"]
    thinking = f"{allergy} is {CLASS_OF[allergy]} and {given} is {CLASS_OF[given]}"
    verdict: dict[str, object] = {"sentence_count": len(sentences)}
    at = next(number for number, text in enumerate(sentences) if text.startswith(GIVEN))
    verb, same_class = sentences[at].split()[0], CLASSES[CLASS_OF[allergy]]
    error = {
        "error_type": "pharmacotherapy",
        "sentence": at,
        "error_text": f"{verb} {same_class[CLASSES[CLASS_OF[given]].index(given)]}.",  # given itself in an error note
        "corrected_text": f"{verb} nothing.",
    }
    verdict |= error if given in same_class else {"twin": error}
    return Label(task_id=task.task_id, truth={"verdict": verdict, "thinking": thinking})


def _truth(label: Label) -> reward.Truth:
    return msgspec.convert(label.truth["verdict"], reward.Truth)
