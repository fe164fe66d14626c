"""A result as tables, the same in Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from common.statistics import Interval
from envs.verdict.statistics import MERGED, McNemar, TypeFigures
from evals.core.report import Report
from evals.core.sheets import Sheet, shown
from evals.suites.medec.corrections import Metric
from evals.suites.medec.result import Against, Part, Result, Scores

ABSENT = "absent"
_METRICS = ("ROUGE-1 F", "BERTScore", "BLEURT", "AggregateScore")


def report(result: Result) -> Report:
    """All of it."""
    absent = (f"{name}: {ABSENT}, {reason}." for name, reason in result.absent.items())
    return Report(
        title=f"{result.suite.upper()}: {result.system}",
        about=tuple(_about(result)),
        sheets=tuple(_sheets(result)),
        limitations=("No medical claim: a score on this benchmark says nothing about safety in a clinic.", *absent),
        drawn=result.parts[0].system is not None,
    )


def _sheets(result: Result) -> Iterator[Sheet]:
    """Every table of a result, in order."""
    for part in result.parts:
        yield _official(result, part)
        yield _detection(result, part)
        if part.system is not None:
            yield _types(part, part.system)
    if result.parts[0].system is not None:
        yield _lines(result.parts[0].system)
    if result.replies is not None:
        counts = result.replies.reasons
        invalid = f"Invalid share {shown(result.replies.invalid)}: counted as flag 0 without a sentence. "
        right = f"Valid with the right flag: {result.replies.valid_and_right:.3f}."
        rows = tuple((reason, str(count)) for reason, count in counts.items())
        yield Sheet(title="Replies", columns=("what became of them", "replies"), rows=rows, remark=invalid + right)
    if result.against is not None:
        yield _against(result.system, result.against)


def _about(result: Result) -> Iterator[str]:
    whole = result.parts[0]
    digest = result.data_sha256[:12]
    yield f"Data: `{result.data}` (sha256 {digest}), {whole.notes} notes, {whole.errors} with an error."
    if result.settings is not None:
        s = result.settings
        yield (
            f"Model checksum {s.checksum[:12]}, {s.dtype}; temperature {s.temperature:g}, {s.samples} "
            f"{'reply' if s.samples == 1 else 'replies'} a note of at most {s.max_tokens} tokens, seed {s.seed}."
        )
    yield "Brackets hold 95 % intervals: Wilson for shares, bootstrap over vignettes for the rest."


def _systems(result: Result, part: Part) -> list[tuple[str, Scores]]:
    return ([(result.system, part.system)] if part.system else []) + list(part.floors.items())


def _official(result: Result, part: Part) -> Sheet:
    columns = ("system", "flag accuracy", "sentence accuracy", "compared", *_METRICS, "ROUGE-1 C", "AggregateC")
    rows = []
    for name, scores in _systems(result, part):
        c = scores.protocol.corrections
        means = [_mean(metric) for metric in (c.rouge1, c.bertscore, c.bleurt, c.aggregate)]
        composites = [_composite(metric) for metric in (c.rouge1, c.aggregate)]
        figures = (scores.detection.flag_accuracy, scores.detection.sentence_accuracy)
        shares = [_for(name, part, figure) for figure in figures]
        rows.append((name, *shares, str(c.compared), *means, *composites))
    ran = [at for at in range(len(columns)) if any(row[at] != ABSENT for row in rows)]
    return Sheet(
        title=f"Official MEDIQA-CORR scores, {part.title}",
        columns=tuple(columns[at] for at in ran),
        rows=tuple(tuple(row[at] for at in ran) for row in rows),
        remark="Corrections are scored on the compared texts, where both sides gave a sentence; a composite (C) also "
        "gives 1 to every text on which both said NA. AggregateScore and AggregateC need all three metrics.",
    )


def _detection(result: Result, part: Part) -> Sheet:
    names = ("Youden J", "sensitivity", "false positives", "flag rate", "pair accuracy")
    rows = []
    for name, scores in _systems(result, part):
        d = scores.detection
        figures = (d.youden_j, d.sensitivity, d.false_positive_rate, d.flag_rate, d.pair_accuracy)
        rows.append((name, *(_for(name, part, figure) for figure in figures)))
    pairs = next(iter(part.floors.values())).detection.pair_accuracy.of
    return Sheet(
        title=f"Detection, {part.title}",
        columns=("system", *names),
        rows=tuple(rows),
        remark=f"Pair accuracy: both twins of a vignette right, {pairs} pairs; a coin has .25, a constant reply 0.",
    )


def _for(name: str, part: Part, figure: Interval) -> str:
    """Floors are constants: their figures have no interval."""
    if name not in part.floors:
        return shown(figure)
    return "-" if figure.value is None else f"{figure.value:.3f}"


def _types(part: Part, scores: Scores) -> Sheet:
    d = scores.detection
    rows = [_type_row(name, figures) for name, figures in d.types.items()]
    rows.append(("macro", "", shown(d.detected_macro), shown(d.named_macro)))
    merged = d.merged.get(MERGED)
    rows += [_type_row(MERGED, merged)] if merged is not None else []
    rows.append(("macro, merged", "", "", shown(d.merged_named_macro)))
    return Sheet(
        title=f"Types, {part.title}",
        columns=("type", "notes", "flagged", "flagged as this type"),
        rows=tuple(rows),
        remark=f"Merged: {MERGED.replace('+', ', ')} count as one type, since MEDEC's labels for them overlap.",
    )


def _type_row(name: str, figures: TypeFigures) -> tuple[str, ...]:
    return (name, str(figures.detected.of), shown(figures.detected), shown(figures.named))


def _lines(scores: Scores) -> Sheet:
    p = scores.protocol
    return Sheet(
        title="Submission lines",
        columns=("texts", "missing", "malformed", "duplicate ids", "unknown ids"),
        rows=(tuple(str(count) for count in (p.texts, p.missing, p.malformed, p.duplicates, p.unknown)),),
        remark="As officially counted: a missing or malformed line is wrong, of duplicates the last counts.",
    )


def _against(system: str, against: Against) -> Sheet:
    def row(name: str, test: McNemar) -> tuple[str, ...]:
        counts = (test.notes, test.both, test.only_this, test.only_other)
        return (name, *(str(count) for count in counts), f"{test.p:.4g}")

    return Sheet(
        title=f"{system} against {against.system} (exact McNemar)",
        columns=("right about", "notes", "both", "only this", "only the other", "p"),
        rows=(row("flag", against.flag), row("sentence", against.sentence)),
    )


def _mean(metric: Metric | None) -> str:
    return ABSENT if metric is None else "-" if metric.mean is None else f"{metric.mean:.3f}"


def _composite(metric: Metric | None) -> str:
    return ABSENT if metric is None else f"{metric.composite:.3f}"
