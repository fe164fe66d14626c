"""Hypothesis strategies of the verdict game."""

from __future__ import annotations

from hypothesis import strategies as st

from common.records import EndReason, Episode
from envs.verdict.data.medec import ERROR_TYPES
from envs.verdict.doctor.grammar import Verdict
from envs.verdict.doctor.reward import Truth

_GAPS = str.maketrans("wxyz", "    ")


def _line(text: str) -> str:
    """Words that begin with x, from one drawn text: drawing a list of words costs ten times as much."""
    return " ".join("x" + word for word in text.translate(_GAPS).split()) or "x"


def _thought(text: str, gap: str) -> str:
    """Five words or more, no two alike."""
    return gap.join(f"x{at}{text[at : at + 3]}" for at in range(0, len(text), 3))


letters = "abcdefghijklmnopqrstuvwxyzéμ°0123456789-"
lines = (st.text(letters, min_size=1, max_size=9) | st.text(letters, min_size=30, max_size=80)).map(_line)
thoughts = st.builds(_thought, st.text(letters, min_size=15, max_size=60), st.sampled_from([" ", "\n", ". "]))
clean_verdicts = st.builds(Verdict, error=st.just(False), thinking=thoughts)
error_verdicts = st.builds(
    Verdict,
    error=st.just(True),
    thinking=thoughts,
    error_type=st.sampled_from(ERROR_TYPES),
    sentence=st.integers(0, 40),
    correction=lines,
)
verdicts = clean_verdicts | error_verdicts

clean_truths = st.just(Truth())


def _error_truth(error_type: str, sentence: int, error: str, corrected: str) -> Truth:
    if corrected == error:
        corrected += " x"
    return Truth(error_type=error_type, sentence=sentence, error_text=error, corrected_text=corrected)


error_truths = st.builds(_error_truth, st.sampled_from(ERROR_TYPES), st.integers(0, 40), lines, lines)
truths = clean_truths | error_truths

# text that looks like the grammar more often than plain text does
_tags = ("<thinking>", "</thinking>", "<verdict>", "</verdict>", "＜verdict＞", "<VERDICT>", "<", " ", "\n")
_fills = (
    "No Clinical Error",
    "Error: diagnosis",
    "Sentence: 3",
    "Correction: it is asthma",
    " one two three four five ",
)
_pieces = st.sampled_from(_tags + _fills)
strings = st.text(max_size=80) | st.lists(_pieces, max_size=12).map("".join)


def episode(action: str, truncated: bool = False) -> Episode:
    return Episode(task_id="t", actions=(action,), reason=EndReason.LENGTH if truncated else EndReason.SUBMITTED)


def _mostly(valid: str, *wrong: str) -> st.SearchStrategy[str]:
    """Nearly always the valid part, so that a whole reply is often valid and often one fault away from it."""
    return st.integers(0, 24).flatmap(lambda n: st.just(valid) if n else st.sampled_from(wrong))


def _body(error_type: str, sentence: str, correction: str, gaps: tuple[str, ...], names: tuple[str, ...]) -> str:
    values = (error_type, sentence, correction)
    return "".join(f"{gap}{name}: {value}" for gap, name, value in zip(gaps, names, values, strict=True))


_types = st.sampled_from(ERROR_TYPES * 6 + ("Diagnosis", "not diagnosis", "any", "", "a, b", "clean"))
_numbers = st.sampled_from([*map(str, range(41)), "-1", "2.0", "1-3", "1, 2", "03", "two", "９", "99999", ""])
_corrections = (
    lines | lines | lines | st.sampled_from(["", "a\nb", "a\u2028b", "<verdict>", "a; or b; or c", "x " * 300])
)
_flags = st.builds(
    _body,
    _types,
    _numbers,
    _corrections,
    st.tuples(_mostly("", "\n", "No Clinical Error\n"), _mostly("\n", " ", "\r\n"), _mostly("\n", "\n\n", ", ")),
    st.tuples(_mostly("Error", "error", "Type"), _mostly("Sentence", "Line"), _mostly("Correction", "Fix")),
)
_cleans = ["No Clinical Error.", "no clinical error", "No Error", "No\u200bClinical Error", ""]
_bodies = _flags | _flags | _mostly("No Clinical Error", *_cleans)
_no_thoughts = ["", "too short", "hm " * 9, ". . . . .", "one two <verdict> four five six"]
_thinking = st.integers(0, 9).flatmap(lambda n: thoughts if n else st.sampled_from(_no_thoughts))
near_valid = st.tuples(
    _mostly("", "Sure. ", "\u200b", "\n"),
    _mostly("<thinking>", "<thinking >", "<Thinking>", "＜thinking＞", "", "<thinking><thinking>"),
    _thinking,
    _mostly("</thinking>", "</thinking", "<thinking>", ""),
    _mostly("\n", "", " so ", "\u00a0"),
    _mostly("<verdict>", '<verdict id="1">', "<ver\u200bdict>", "", "<verdict><verdict>"),
    _bodies,
    _mostly("</verdict>", "</verdict", "", "</verdict></verdict>"),
    _mostly("", " Done.", "\u200b", "\n", "<verdict>No Clinical Error</verdict>"),
).map("".join)
