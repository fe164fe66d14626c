"""The note side of the episodes page: a task's source and what became of it, each edit marked, beside its label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

import msgspec

from common.markup import marked
from envs.verdict.scribe.edits import Edit, invert

Truth = dict[str, Any]


def note(context: str, truth: str, operators: Sequence[str], tier: str) -> str:
    """The note as HTML. `context` is what the policy saw and `truth` its label, both JSON; all text is escaped."""
    shown, full = json.loads(context), json.loads(truth)
    verdict = full.get("verdict", full)
    if "sentences" not in shown:
        return f"<pre>{escape(json.dumps(shown, indent=2))}</pre><pre>{escape(json.dumps(verdict, indent=2))}</pre>"
    sentences, log = shown["sentences"], msgspec.convert(full.get("edits", ()), tuple[Edit, ...])
    items = (
        _sentence(number, was, now, verdict)
        for number, (was, now) in enumerate(zip(invert(sentences, log), sentences, strict=True))
    )
    key = "<del>source</del> <ins>as the Doctor reads it</ins>" if log else "the source note, unchanged"
    names = ", ".join(words(operator) for operator in operators) or "none"
    injected = f", injected by tier {escape(tier)}" if tier and tier != "human" else ""
    return (
        f'<p>Label: {_label(verdict)}{injected}</p><p class="soft small">{key}</p>'
        f'<ol class="sentences">{"".join(items)}</ol><p class="soft small">Edits: {names}</p>'
    )


def words(name: str) -> str:
    """A name of the code for people, escaped."""
    return escape(name.replace("_", " "))


def _label(verdict: Truth) -> str:
    if verdict.get("sentence") is None:
        return '<span class="label clean">Clean</span>'
    kind = escape(str(verdict.get("error_type")))
    return f'<span class="label error">Error: {kind}</span>, sentence {verdict["sentence"]}'


def _sentence(number: int, was: str, now: str, verdict: Truth) -> str:
    item = f'<span class="number">{number}</span><span>{marked(was, now)}</span>'
    if number != verdict.get("sentence"):
        return f"<li>{item}</li>"
    correction = f"<span>Correct: {escape(str(verdict.get('corrected_text')))}</span>"
    arrow = '<span class="number" aria-hidden="true">→</span>'
    return f'<li class="wrong">{item}</li><li class="correction">{arrow}{correction}</li>'
