"""Scores of the corrected sentences: ROUGE-1 F built in, BERTScore and BLEURT where they are installed.

As in the MEDIQA-CORR script: a metric is its mean over the texts on which both sides gave a sentence; its composite
gives 1 to a text on which both said NA and 0 to one on which only one did. AggregateScore is the mean of the three.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from common.records import Record

Scorer = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
"""(references, candidates) -> one score per pair."""
NEURAL = ("BERTScore", "BLEURT")
BERT_MODEL = "microsoft/deberta-xlarge-mnli"
BLEURT_FOLDER = "BLEURT-20"


class Metric(Record):
    """Mean over the compared texts (None when there are none), and the composite over all texts."""

    mean: float | None
    composite: float


class Corrections(Record):
    """`compared` texts had a sentence on both sides, `agreed_na` NA on both. A metric that could not run is None."""

    compared: int
    agreed_na: int
    rouge1: Metric
    bertscore: Metric | None
    bleurt: Metric | None
    aggregate: Metric | None
    """AggregateScore and AggregateC; None unless all three metrics ran, because a mean of fewer is not comparable."""


def correction_scores(
    pairs: Sequence[tuple[str, str]], agreed_na: int, texts: int, scorers: Mapping[str, Scorer]
) -> Corrections:
    """Score (reference, candidate) pairs out of `texts` texts. `scorers` holds the members of NEURAL that can run."""
    references, candidates = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    scores = {"ROUGE-1": [rouge1(reference, candidate) for reference, candidate in pairs]}
    for name, scorer in scorers.items():
        scores[name] = [min(1.0, max(0.0, float(one))) for one in scorer(references, candidates)] if pairs else []

    def metric(values: Sequence[float]) -> Metric:
        mean = sum(values) / len(values) if values else None
        return Metric(mean=mean, composite=(sum(values) + agreed_na) / texts)

    whole = all(name in scores for name in NEURAL)
    return Corrections(
        compared=len(pairs),
        agreed_na=agreed_na,
        rouge1=metric(scores["ROUGE-1"]),
        bertscore=metric(scores["BERTScore"]) if "BERTScore" in scores else None,
        bleurt=metric(scores["BLEURT"]) if "BLEURT" in scores else None,
        aggregate=metric([sum(each) / len(each) for each in zip(*scores.values(), strict=True)]) if whole else None,
    )


def rouge1(reference: str, candidate: str) -> float:
    """ROUGE-1 F of the package `rouge` 1.0, which the organisers use: sets of words, case kept, split at full stops."""
    wanted, given = _words(reference), _words(candidate)
    if not wanted or not given:
        return 0.0
    shared = len(wanted & given)
    precision, recall = shared / len(given), shared / len(wanted)
    return 2.0 * (precision * recall / (precision + recall + 1e-8))


def available() -> tuple[dict[str, Scorer], dict[str, str]]:
    """The neural scorers that can run here without fetching anything, and why each of the others cannot."""
    reasons = {"BERTScore": _bertscore_lacks(), "BLEURT": _bleurt_lacks()}
    makers: dict[str, Scorer] = {"BERTScore": _bertscore, "BLEURT": _bleurt}
    return {n: makers[n] for n in NEURAL if reasons[n] is None}, {n: r for n, r in reasons.items() if r is not None}


def _words(text: str) -> set[str]:
    return {word for part in text.split(".") if part for word in " ".join(part.split()).split(" ")}


def _bertscore_lacks() -> str | None:
    if importlib.util.find_spec("bert_score") is None:
        return "package bert-score is not installed"
    from huggingface_hub import try_to_load_from_cache

    there = isinstance(try_to_load_from_cache(BERT_MODEL, "config.json"), str)
    return None if there else f"{BERT_MODEL} is not in the Hugging Face cache"


def _bleurt_lacks() -> str | None:
    if importlib.util.find_spec("bleurt") is None:
        return "package bleurt is not installed"
    return None if Path(BLEURT_FOLDER).is_dir() else f"no folder {BLEURT_FOLDER} in the working directory"


def _bertscore(references: Sequence[str], candidates: Sequence[str]) -> Sequence[float]:
    from bert_score import score  # type: ignore[import-not-found]

    _, _, f1 = score(
        list(candidates), list(references), model_type=BERT_MODEL, lang="en", device="cpu", rescale_with_baseline=True
    )
    scores: list[float] = f1.tolist()
    return scores


def _bleurt(references: Sequence[str], candidates: Sequence[str]) -> Sequence[float]:
    from bleurt.score import BleurtScorer  # type: ignore[import-not-found]

    scorer = BleurtScorer(checkpoint=BLEURT_FOLDER)
    scores: list[float] = scorer.score(references=list(references), candidates=list(candidates), batch_size=1)
    return scores
