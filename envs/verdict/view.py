"""How the page shows a note: each edit of its source marked, with its label; and a reply's reasoning and verdict."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import msgspec
from markupsafe import Markup

from common.markup import marked
from envs.contract.page_view import PageView, Part, Shown
from envs.verdict.doctor.grammar import Verdict, parse
from envs.verdict.doctor.reward import Truth, graded
from envs.verdict.scores import RIGHT, is_valid
from envs.verdict.scribe.edits import Edit, invert, placed, unplaced

Label = dict[str, Any]
_REASONS = {
    "found": "error found",
    "elsewhere": "error flagged, wrong sentence",
    "missed": "error missed",
    "clean": "right: no error",
}
_REPLY = re.compile(r"\s*<thinking>(.*?)</thinking>\s*<verdict>(.*?)</verdict>\s*", re.DOTALL)


class NoteView(PageView):
    """Notes of numbered sentences, and verdicts on them."""

    task_title = "Note and label"
    shares = ("Flag right", "Valid")

    legend = (
        ("augmented error, augmented safe", "a note in which a person labelled an error, and its correct version"),
        ("synthetic injection, synthetic decoy", "a correct note with an error put into it, and the same without"),
        (
            "tier A, B, C",
            "why an injected error is one: the note proves it, a person wrote it in another, models agree",
        ),
        (
            "outcome",
            "the verdict's part of the reward: on an error 0.4 for the flag, 0.2 type, 0.3 sentence, up to 0.1 "
            "correction; 1 for a correct note called clean; below 0 for errors missed or made up or unreadable",
        ),
        ("structure", "0.1 for a reply in the required form; nothing where the reward is corrected for chance"),
        ("flag, type, sentence, correction", "of an error verdict on an error note: what the outcome is added up from"),
        ("error found", "flag and sentence are right; green when type and correction are too, amber when not"),
    )

    def task(self, shown: Shown) -> Markup:
        """The note, with each edit marked in it, and its label."""
        full = json.loads(shown.truth)
        verdict, sentences = _verdict(full), json.loads(shown.context)["sentences"]
        log = msgspec.convert(full.get("edits", ()), tuple[Edit, ...])
        order = full.get("order", ())
        source = placed(invert(unplaced(sentences, order), log), order)
        items = (
            _sentence(number, was, now, verdict)
            for number, (was, now) in enumerate(zip(source, sentences, strict=True))
        )
        key = "<del>source</del> <ins>as the Doctor reads it</ins>" if log else "the source note, unchanged"
        names = ", ".join(escape(name.replace("_", " ")) for name in shown.operators) or "none"
        injected = f", injected by tier {escape(shown.tier)}" if shown.tier and shown.tier != "human" else ""
        return Markup(
            f'<p>Label: {_label(verdict)}{injected}</p><p class="soft small">{key}</p>'
            f'<ol class="sentences">{"".join(items)}</ol><p class="soft small">Edits: {names}</p>'
        )

    def reply(self, completion: str) -> Markup:
        """Reasoning and verdict; the text itself where it does not follow the format."""
        match = _REPLY.fullmatch(completion)
        if match is None:
            return super().reply(completion)
        thinking, verdict = (text.strip() for text in match.groups())
        return Markup('<p>{}</p><div class="answer">{}</div>').format(thinking, verdict)

    def parts(self, shown: Shown, completion: str, components: Mapping[str, float]) -> Sequence[Part]:
        """Flag, type, sentence and correction of an error verdict on an error note, where the run graded them."""
        label = _verdict(json.loads(shown.truth))
        verdict = parse(completion, label.get("sentence_count"))
        if label.get("error_type") is None or not isinstance(verdict, Verdict) or not verdict.error:
            return ()
        truth = msgspec.convert(label, Truth)
        parts = [Part(name=name, value=value, most=most) for name, (value, most) in graded(verdict, truth).items()]
        same = math.isclose(sum(part.value for part in parts), components.get("outcome", math.nan), abs_tol=1e-9)
        return parts if same else ()  # another scheme (`reward.outcome: type`), or a reply that the token limit ended

    def reason(self, reason: str) -> str:
        """The case of the reward table in words."""
        return _REASONS.get(reason) or super().reason(reason)

    def standing(self, reason: str, reward: float, solved: bool) -> str:
        """`part`: the flag is right, the rest is not; `none`: no verdict in the reply."""
        if not is_valid(reason):
            return "none"
        if reason == "elsewhere":
            return "part"
        return "good" if reason in RIGHT else "bad"

    def counted(self, reason: str, reward: float, solved: bool) -> tuple[bool, ...]:
        """Whether the flag is right, and whether there is a verdict."""
        return reason in RIGHT, is_valid(reason)


def _verdict(truth: Label) -> Label:
    """The label; that of a task with edits has them beside it."""
    found: Label = truth.get("verdict", truth)
    return found


def _label(verdict: Label) -> str:
    if verdict.get("sentence") is None:
        return '<span class="label clean">Clean</span>'
    kind = escape(str(verdict.get("error_type")))
    return f'<span class="label error">Error: {kind}</span>, sentence {verdict["sentence"]}'


def _sentence(number: int, was: str, now: str, verdict: Label) -> str:
    item = f'<span class="number">{number}</span><span>{marked(was, now)}</span>'
    if number != verdict.get("sentence"):
        return f"<li>{item}</li>"
    correction = f"<span>Correct: {escape(str(verdict.get('corrected_text')))}</span>"
    arrow = '<span class="number" aria-hidden="true">→</span>'
    return f'<li class="wrong">{item}</li><li class="correction">{arrow}{correction}</li>'
