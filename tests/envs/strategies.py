"""Hypothesis strategies of the verdict game."""

from __future__ import annotations

from hypothesis import strategies as st

from common.records import Episode
from envs.verdict.grammar import Verdict
from envs.verdict.medec import ERROR_TYPES
from envs.verdict.reward import Truth

words = st.text(alphabet="abcdefghijklmnopqrstuvwxyzéμ°0123456789-", min_size=1, max_size=9).map(lambda w: "x" + w)
lines = st.lists(words, min_size=1, max_size=12).map(" ".join)
thoughts = st.lists(words, min_size=5, max_size=20).flatmap(
    lambda ws: st.sampled_from([" ", "\n", ". "]).map(lambda gap: gap.join(ws))
)
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
error_truths = (
    st.tuples(lines, lines)
    .filter(lambda pair: pair[0] != pair[1])
    .flatmap(
        lambda pair: st.builds(
            Truth,
            error_type=st.sampled_from(ERROR_TYPES),
            sentence=st.integers(0, 40),
            error_text=st.just(pair[0]),
            corrected_text=st.just(pair[1]),
        )
    )
)
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
    return Episode(task_id="t", actions=(action,), truncated=truncated)
