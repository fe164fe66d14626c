"""The Grafana dashboard, made from the declared metrics.

    python -m deploy.monitoring.dashboard > deploy/monitoring/grafana/medserl.json

Names come from `common/metrics.py`, so a query cannot drift from its metric; a test keeps the file up to date.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from common import metrics
from common.metrics import Metric
from common.records import Record

COLUMNS, WIDTH, HEIGHT = 3, 8, 8  # Grafana's grid is 24 wide
SOURCE = {"type": "prometheus", "uid": "medserl"}
WINDOW = "$__rate_interval"


class Panel(Record):
    """One chart: PromQL by legend. `unit` is Grafana's name of a unit."""

    title: str
    queries: tuple[tuple[str, str], ...]  # (PromQL, legend)
    unit: str = "short"
    stacked: bool = False
    about: str = ""


def rate(metric: Metric) -> tuple[str, str]:
    """Rate per second, one line per label value."""
    return _by(metric, f"rate({metric.name}[{WINDOW}])")


def count(metric: Metric) -> tuple[str, str]:
    """Increase over the shown time, one line per label value."""
    return _by(metric, f"increase({metric.name}[$__range])")


def newest(metric: Metric) -> tuple[str, str]:
    """The value itself."""
    return (metric.name, _legend(metric) or metric.name.removeprefix("medserl_"))


def _by(metric: Metric, expression: str) -> tuple[str, str]:
    if metric.labels:
        return (f"sum by ({', '.join(metric.labels)}) ({expression})", _legend(metric))
    return (f"sum({expression})", metric.name.removeprefix("medserl_").removesuffix("_total"))


def _legend(metric: Metric) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in metric.labels)


PANELS = (
    Panel(title="Tokens sampled by role", queries=(rate(metrics.ROLLOUT_TOKENS),), unit="tokens/s"),
    Panel(title="Completions by role", queries=(rate(metrics.COMPLETIONS),), unit="completions/s"),
    Panel(
        title="Prompt tokens of later turns",
        queries=(rate(metrics.LATER_PROMPT_TOKENS), rate(metrics.LATER_CACHED_TOKENS)),
        unit="tokens/s",
        about="Of episodes of several turns. Those read from the prefix cache are nearly all, but right after a sync.",
    ),
    Panel(title="Runs", queries=(newest(metrics.RUN),), about="Which job's series these are, one line for each."),
    Panel(title="Tokens trained on", queries=(rate(metrics.LEARNER_TOKENS),), unit="tokens/s"),
    Panel(
        title="Policy lag",
        queries=(newest(metrics.POLICY_LAG), newest(metrics.POLICY_LAG_BOUND)),
        about="Learner steps between a rollout's oldest token and the step that trained on it.",
    ),
    Panel(title="Tasks in the buffer", queries=(newest(metrics.BUFFER),), stacked=True),
    Panel(
        title="Task accounting of the buffer",
        queries=(newest(metrics.MADE), newest(metrics.CLAIMED), newest(metrics.IMBALANCE)),
        about="Every task is in exactly one state, so the imbalance is always 0.",
    ),
    Panel(
        title="Who is busy",
        queries=(newest(metrics.PHASE),),
        about="A learner at 0 waits for rollouts: add engines or Doctors.",
    ),
    Panel(
        title="KV cache in use",
        queries=(newest(metrics.KV_USE),),
        unit="percentunit",
        about="Maximum per second of the fullest engine. At 1 sequences wait: raise kv_cache_gib, or add engines.",
    ),
    Panel(
        title="Actors",
        queries=(newest(metrics.ACTORS), (metrics.ACTORS_WANTED.name, "{{actor}} wanted")),
        about="Serving, and wanted by the spec in effect; medserl apply changes it.",
    ),
    Panel(
        title="Optimiser step and weight sync",
        queries=(newest(metrics.STEP_SECONDS), newest(metrics.SYNC_SECONDS)),
        unit="s",
    ),
    Panel(
        title="Weight syncs",
        queries=(newest(metrics.SYNC_OK), rate(metrics.SYNCS)),
        about="sync_ok is 1 when every engine proved its weights.",
    ),
    Panel(title="Policy version", queries=(newest(metrics.POLICY_VERSION),)),
    Panel(title="Reward", queries=(newest(metrics.REWARD), newest(metrics.REWARD_BY_COMPONENT))),
    Panel(
        title="Held-out score",
        queries=(newest(metrics.HELDOUT), newest(metrics.HELDOUT_VERSION)),
        about="With its 95 % interval and chance. 0 until the first evaluation; evaluation.every makes them.",
    ),
    Panel(
        title="Loss and gradient norm",
        queries=(newest(metrics.LOSS), newest(metrics.GRAD_NORM)),
        about="The norm is before clipping. Spikes far above the usual: halve the learning rate.",
    ),
    Panel(
        title="KL to the start and entropy",
        queries=(newest(metrics.KL), newest(metrics.ENTROPY)),
        about="Nats per token. Entropy that falls to 0: the policy repeats itself. KL is 0 while kl_coef is 0.",
    ),
    Panel(title="Length of a reply", queries=(newest(metrics.REPLY_TOKENS),), about="Sampled tokens."),
    Panel(
        title="Truncated episodes",
        queries=(newest(metrics.TRUNCATED),),
        unit="percentunit",
        about="Ended by the token limit. Above a tenth: raise sampling.max_tokens.",
    ),
    Panel(title="Learning rate", queries=(newest(metrics.LEARNING_RATE),)),
    Panel(
        title="What the games measure",
        queries=(newest(metrics.ENV_MEASURE), (metrics.ENV_ALARM.name, "{{env}} alarm")),
        about="Of the last batch. When an alarm is 1, the run's output says what to do.",
    ),
    Panel(
        title="Engine-learner log-prob difference",
        queries=(newest(metrics.CANARY), newest(metrics.FRESH)),
        about="Nats per token.",
    ),
    Panel(title="Rejections by reason", queries=(rate(metrics.REJECTED),), stacked=True),
    Panel(
        title="Refused in a row",
        queries=(newest(metrics.REFUSED_IN_A_ROW),),
        about="Since the last task or group that passed. What rises for long makes no step.",
    ),
    Panel(
        title="Groups without a difference",
        queries=(newest(metrics.UNIFORM),),
        unit="percentunit",
        about="All their episodes earned the same, so they teach nothing but what kl_coef says.",
    ),
    Panel(title="Skipped steps in the shown time", queries=(count(metrics.SKIPPED),)),
    Panel(title="Tasks by game and kind", queries=(rate(metrics.TASKS),), stacked=True),
    Panel(title="The proposer's work by outcome", queries=(rate(metrics.PROPOSALS),), stacked=True),
    Panel(title="The Scribe's tries by outcome", queries=(rate(metrics.ROYALTIES),), stacked=True),
    Panel(title="The Scribe's learner", queries=(newest(metrics.SCRIBE_VERSION), newest(metrics.SCRIBE_REWARD))),
    Panel(
        title="The Scribe's steps", queries=(rate(metrics.SCRIBE_STEPS), rate(metrics.SCRIBE_STARVED)), unit="steps/s"
    ),
    Panel(title="Restarts in the shown time", queries=(count(metrics.ACTOR_RESTARTS), count(metrics.ENGINE_RESTARTS))),
    Panel(
        title="Checkpoints and damaged files in the shown time",
        queries=(count(metrics.CHECKPOINTS), count(metrics.DAMAGED)),
    ),
    Panel(title="Importance weights", queries=(newest(metrics.WEIGHTS),)),
    Panel(title="Agreement and advantage by turn", queries=(newest(metrics.BY_TURN),)),
    Panel(title="Optimiser steps", queries=(rate(metrics.LEARNER_STEPS),), unit="steps/s"),
)


def queries() -> Iterator[str]:
    """Every PromQL expression of the dashboard."""
    return (expression for panel in PANELS for expression, _ in panel.queries)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's file provider reads it."""
    return {
        "uid": "medserl",
        "title": "MedSeRL",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "editable": True,
        "panels": [_panel(index, panel) for index, panel in enumerate(PANELS)],
    }


def _panel(index: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(index, COLUMNS)
    custom = {"fillOpacity": 30, "stacking": {"mode": "normal"}} if panel.stacked else {}
    return {
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for place, (expression, legend) in enumerate(panel.queries)
        ],
    }


def main() -> None:
    """Print the dashboard."""
    print(json.dumps(dashboard(), indent=1))


if __name__ == "__main__":
    main()
