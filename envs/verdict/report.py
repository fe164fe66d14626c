"""The verdict game's report; see `envs.contract.report.Report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from common.records import Message, Provenance
from common.sections import EnvSettings
from common.statistics import Interval, share
from envs.contract.report import Band, Card, History, Measure, Outcome, Report, Score, Span, rolling
from envs.verdict import asking
from envs.verdict.data.medec import load_notes
from envs.verdict.prompts import doctor_messages
from envs.verdict.scores import FLAGGED, RIGHT, batch_statistics, is_valid, on_error_note
from envs.verdict.scribe.verifier import REQUIRED
from envs.verdict.statistics import Case, detection
from envs.verdict.view import NoteView

FLAG_BAND = Band(
    low=0.25,
    high=0.75,
    steps=3,
    remedy="the Doctor stops judging; give it more warm_up.steps or a smaller learning_rate",
)
"""Half of the notes hold an error, so a policy that judges flags about half of them.

A weak policy drifts to silence, because a flag pays only where it is likely to be right, most under `outcome: graded`;
with a loophole in the reward it drifts to flagging. Three batches in a row outside the band are not a matter of chance.
"""


class NoTask(StrEnum):
    """Why no task can be made of a note."""

    NO_EDIT = "no_edit"  # no new error fits it
    NO_NOISE = "no_noise"  # it offers too few places for cosmetic edits


class VerdictReport(Report):
    """Flags, verdicts and pairs of twins."""

    title = "Verdicts"
    measures = (
        Measure(name="valid_share", help="Share of replies with a valid verdict.", header="valid", drawn=True),
        Measure(
            name="flag_rate",
            help="Share of valid verdicts that say Error.",
            header="flags",
            drawn=True,
            band=FLAG_BAND,
        ),
        Measure(name="accuracy", help="Share of replies whose flag is right.", header="accuracy", drawn=True),
        Measure(name="youden_j", help="Sensitivity + specificity - 1: 0 is a coin.", form="{:+.2f}"),
        Measure(name="pair_accuracy", help="Share of twins with both flags right; chance .25."),
    )
    heldout_drawn = "flag_accuracy"
    heldout_chance = 0.5  # tasks come in twins
    kinds: tuple[str, ...] = ("augmented_error", "augmented_safe", "synthetic_decoy", "synthetic_injection")
    stages: tuple[tuple[str, str], ...] = (
        *(("rewording", outcome) for outcome in ("model", "rule", "unchanged")),
        *(("error", outcome) for outcome in ("accepted", "verifier")),
    )
    rejections = tuple(NoTask)
    exam = REQUIRED
    view = NoteView()

    def measure(self, outcomes: Sequence[Outcome]) -> dict[str, float | None]:
        """See `envs.verdict.scores.batch_statistics`."""
        return batch_statistics(outcomes)

    def heldout(self, outcomes: Sequence[Outcome]) -> dict[str, Interval]:
        """An invalid reply is wrong on either kind of note, as in the training batch (unlike MEDEC's protocol)."""
        found = detection([_case(one) for one in outcomes])
        return {
            "valid_share": share(is_valid(reward.reason) for one in outcomes for reward in one.rewards),
            "flag_accuracy": found.flag_accuracy,
            "pair_accuracy": found.pair_accuracy,
            "youden_j": found.youden_j,
            "false_positive_rate": found.false_positive_rate,
        }

    def heldout_line(self, measures: Mapping[str, Interval]) -> str:
        """Flags and twins."""
        flags, pairs = measures.get("flag_accuracy"), measures.get("pair_accuracy")
        twins = "-" if pairs is None or pairs.value is None else f"{pairs.value:.2f}"
        return f"flag accuracy {flags or '-'}, both twins {twins}"

    def score(self, history: History) -> Score | None:
        """(Youden's J, pair accuracy): never reward, so a policy that flags nothing or everything has J = 0.

        Without a pair its accuracy counts 0. None when no batch had notes of both labels.
        """
        youden = rolling(history, "youden_j")
        return None if youden is None else (youden, rolling(history, "pair_accuracy") or 0.0)

    def score_line(self, score: Score) -> str:
        """Both figures by name."""
        return f"Youden's J {score[0]:+.2f}, pair accuracy {score[1]:.0%}"

    def proposals(self, provenance: Provenance) -> list[tuple[str, str]]:
        """From the operators `reword:OUTCOME` and `inject:C[:REASON]`."""
        found = [_stage(name) for name in provenance.operators]
        return [stage for stage in found if stage is not None]

    def card(self, settings: EnvSettings) -> Card:
        """A reader of clinical notes."""
        return Card(about=ABOUT, data=_data(settings), tags=("medical",))

    def texts(self) -> list[str]:
        """The prompts of the bundled notes."""
        return [message.content for note in load_notes("bundled") for message in doctor_messages(note.sentences)]

    def question(self, text: str) -> tuple[Message, ...]:
        """The Doctor's prompt on a note in plain text. Raises ValueError when it holds no sentence."""
        return doctor_messages(asking.sentences(text))

    def answer(self, text: str, reply: str, truncated: bool) -> tuple[Span, ...]:
        """The note with the accused sentence marked, the reasoning and the verdict."""
        return asking.answer(asking.sentences(text), reply, truncated)


ABOUT = """**A research model. Not a medical device, not for clinical use.** It reads a clinical note of numbered
sentences and says whether one holds a medical error. It was trained by self-play against a Scribe of the same
weights."""


def _data(settings: EnvSettings) -> str:
    path = settings.public()["data"]["path"]  # without the folders of this machine
    if path == "bundled":
        return "Sixty fictional vignettes that come with MedSeRL; no patient's data."
    return (
        f"`{path}`, which is not part of this repository. If it is MEDEC (Ben Abacha et al., Findings of ACL 2025): "
        "CC BY 4.0, to be cited."
    )


def _stage(operator: str) -> tuple[str, str] | None:
    if operator.startswith("reword:"):
        outcome = operator.removeprefix("reword:")
        return "rewording", "rule" if outcome.startswith("rule:") else outcome
    if operator.startswith("inject:C"):
        return "error", operator.removeprefix("inject:C").removeprefix(":") or "accepted"
    return None


def _case(one: Outcome) -> Case:
    (reward,) = one.rewards
    task = one.labelled.task
    return Case(
        note_id=task.task_id,
        pair=one.pair,
        vignette=task.provenance.vignette,
        is_error=on_error_note(one),
        flagged=reward.reason in FLAGGED,
        right=reward.reason in RIGHT,
        sentence_right=reward.reason in {"found", "clean"},
    )
