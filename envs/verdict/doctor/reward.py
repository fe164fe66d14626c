"""The verdict game's reward table (docs/design.md, section 5). Only the completion is scored, never the prompt.

| case                         | `graded`                        | `type`       | `skill`           | reason           |
|------------------------------|---------------------------------|--------------|-------------------|------------------|
| does not parse, or truncated | -1.5                            | -1.5         | -1.5              | invalid_*        |
| error note, clean verdict    | -1.0                            | -1.0         | -1.0              | missed           |
| clean note, clean verdict    | +1.0                            | +1.0         | +1.0              | clean            |
| clean note, error verdict    | -1.0 to -1.5 (`false_alarm_at`) | as `graded`  | minus that of the | false_alarm      |
|                              |                                 |              | error twin        |                  |
| error note, error verdict    | g: .4 + .2 type + .3 sentence   | +1.0 or -1.0 | g                 | found, elsewhere |
|                              | + .1 correction                 | by its type  |                   |                  |
| any valid reply: structure   | +0.1                            | +0.1         | 0                 |                  |

A reply that a limit cut off is `truncated`. `found` says that the sentence is right too, `elsewhere` that it is not.

`skill` is corrected for chance over twins: what a verdict earns on an error note it loses on the clean twin. So a
policy that cannot tell the twins apart earns 0 on average, whether it is silent, flags all, or knows everything but the
label; none is a resting place, and flagging pays where P(error) > 1/2. Where the twin's error is not known, since the
model may have written it, a false alarm costs 1, and blind flags earn 0 at most. Under the other two silence earns .1,
and flagging pays only where P(error) > (1 - false_alarm) / (g + 2 - false_alarm). In the first versions of a run the
false alarm costs less there, and g > 0.8 already pays at P(error) = 0.5.
"""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher
from enum import StrEnum

from common.records import Episode, Record, Reward
from envs.verdict.data.medec import ERROR_TYPES
from envs.verdict.data.text import one_line
from envs.verdict.doctor.grammar import Invalid, Verdict, parse
from envs.verdict.spec import Outcome, RewardSpec

INVALID, MISSED, CLEAN, FALSE_ALARM = -1.5, -1.0, 1.0, -1.5
FALSE_ALARM_AT_START = -1.0
FLAG, TYPE, SENTENCE, CORRECTION = 0.4, 0.2, 0.3, 0.1
RIGHT_TYPE, WRONG_TYPE = 1.0, -1.0  # `outcome: type`
SYMMETRIC = -1.0  # a false alarm under `outcome: skill` where the twin's error is not known
STRUCTURE = 0.1  # but under `outcome: skill`, where a valid form would pay blind policies too
MAXIMUM = 1.1  # of both labels; 1.0 under `outcome: skill`
_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")


class Case(StrEnum):
    """The rows of the table, as `Reward.reason`; an invalid reply's names the `Fault`."""

    TRUNCATED = "truncated"
    INVALID_TAGS = "invalid_tags"
    INVALID_OUTSIDE = "invalid_outside"
    INVALID_THINKING = "invalid_thinking"
    INVALID_FORM = "invalid_form"
    INVALID_TYPE = "invalid_type"
    INVALID_SENTENCE = "invalid_sentence"
    INVALID_CORRECTION = "invalid_correction"
    MISSED = "missed"
    CLEAN = "clean"
    FALSE_ALARM = "false_alarm"
    FOUND = "found"
    ELSEWHERE = "elsewhere"


class Truth(Record):
    """What is true of a note; the four facts are None together, on a clean note. `sentence` is 0-based.

    `twin`, of a clean note, is the error that its twin holds, at the place where it would stand in this one.
    """

    error_type: str | None = None
    sentence: int | None = None
    error_text: str | None = None
    corrected_text: str | None = None
    sentence_count: int | None = None  # None: sentence numbers have no upper bound
    twin: Truth | None = None

    def __post_init__(self) -> None:
        """Refuse a label that is half clean, half error."""
        facts = (self.error_type, self.sentence, self.error_text, self.corrected_text)
        if len({fact is None for fact in facts}) > 1:
            raise ValueError(f"truth {facts}: is half clean; give type, sentence and both texts, or none of them")
        if self.error_type is not None and self.error_type not in ERROR_TYPES:
            raise ValueError(f"truth has unknown type {self.error_type!r}; write one of {', '.join(ERROR_TYPES)}")
        if self.twin is not None and (self.error_type is not None or self.twin.error_type is None):
            raise ValueError("truth names a twin's error: only a clean note has an error note for its twin")


def score_as(scoring: RewardSpec, version: int | None, episode: Episode, truth: Truth) -> Reward:
    """`score` as a run's spec says, at policy_version `version`."""
    return score(episode, truth, false_alarm_at(version, scoring.anneal_steps or 0), scoring.outcome)


def false_alarm_at(version: int | None, anneal_steps: int) -> float:
    """The false-alarm penalty: linear from -1.0 at version 0 to -1.5 at `anneal_steps`; -1.5 without either."""
    left = 0.0 if version is None or not anneal_steps else max(0.0, 1 - version / anneal_steps)
    return FALSE_ALARM + (FALSE_ALARM_AT_START - FALSE_ALARM) * left


def score(episode: Episode, truth: Truth, false_alarm: float = FALSE_ALARM, outcome: Outcome = "graded") -> Reward:
    """Score the one action of `episode`. `false_alarm` is in [-1.5, 0], so that an invalid reply stays the worst; it
    does not count under `skill`.

    Raises ValueError when the episode does not hold exactly one action.
    """
    if len(episode.actions) != 1:
        raise ValueError(f"episode {episode.task_id} holds {len(episode.actions)} actions; a verdict is exactly one")
    if not -1.5 <= false_alarm <= 0:
        raise ValueError(f"false_alarm {false_alarm} is out of bounds; give a number from -1.5 to 0")
    if episode.truncated:
        return _reward(INVALID, 0.0, Case.TRUNCATED)
    verdict = parse(episode.actions[0], truth.sentence_count)
    if isinstance(verdict, Invalid):
        return _reward(INVALID, 0.0, Case(f"invalid_{verdict.reason}"))
    if outcome == "skill":
        false_alarm = SYMMETRIC if truth.twin is None else -_graded(verdict, truth.twin)
    earned, case = _judged(verdict, truth, false_alarm, outcome)
    return _reward(earned, 0.0 if outcome == "skill" else STRUCTURE, case)


def _judged(verdict: Verdict, truth: Truth, false_alarm: float, outcome: Outcome) -> tuple[float, Case]:
    """What a valid verdict earns without the structure term, and the row of the table."""
    if truth.error_type is None:
        return (false_alarm, Case.FALSE_ALARM) if verdict.error else (CLEAN, Case.CLEAN)
    if not verdict.error:
        return MISSED, Case.MISSED
    case = Case.FOUND if verdict.sentence == truth.sentence else Case.ELSEWHERE
    if outcome == "type":
        return RIGHT_TYPE if verdict.error_type == truth.error_type else WRONG_TYPE, case
    return _graded(verdict, truth), case


def _graded(verdict: Verdict, truth: Truth) -> float:
    return sum(earned for earned, _ in graded(verdict, truth).values()) if verdict.error else MISSED


def correction_credit(error: str, corrected: str, proposed: str) -> float:
    """How well `proposed` repairs `error`, in [0, 1]: F1 over the words inserted and deleted.

    The edits of `error` -> `proposed` are compared, as multisets, with those of `error` -> `corrected`. Copying the
    error makes no edit and earns 0, the corrected sentence earns 1, and far longer text earns 0 without being compared.
    """
    if one_line(proposed) == one_line(corrected):
        return 1.0
    if len(proposed) > 3 * len(corrected) + 100:  # bounds the cost of aligning what a policy may write
        return 0.0
    wanted, made = _edits(error, corrected), _edits(error, proposed)
    agreed = (wanted & made).total()
    return 2 * agreed / (wanted.total() + made.total()) if agreed else 0.0


def graded(verdict: Verdict, truth: Truth) -> dict[str, tuple[float, float]]:
    """The outcome of an error verdict on an error note, part by part: (earned, at most). Their sum is the outcome."""
    assert truth.error_text is not None and truth.corrected_text is not None and verdict.correction is not None
    found = verdict.sentence == truth.sentence
    credit = correction_credit(truth.error_text, truth.corrected_text, verdict.correction) if found else 0.0
    return {
        "flag": (FLAG, FLAG),
        "type": (TYPE * (verdict.error_type == truth.error_type), TYPE),
        "sentence": (SENTENCE * found, SENTENCE),
        "correction": (CORRECTION * credit, CORRECTION),
    }


def _edits(old: str, new: str) -> Counter[tuple[str, str]]:
    """The words that turning `old` into `new` deletes ("-") and inserts ("+"); case and punctuation don't count."""
    before, after = _WORD.findall(old.lower()), _WORD.findall(new.lower())
    edits: Counter[tuple[str, str]] = Counter()
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            edits.update(("-", word) for word in before[i:j])
            edits.update(("+", word) for word in after[k:m])
    return edits


def _reward(outcome: float, structure: float, reason: Case) -> Reward:
    outcome = round(outcome, 12)  # 0.4 + 0.2 + 0.3 + 0.1 is 1.0, and replays compare with ==
    total = round(outcome + structure, 12)
    return Reward(
        components={"outcome": outcome, "structure": structure}, total=total, reason=reason.value, solved=total > 0
    )
