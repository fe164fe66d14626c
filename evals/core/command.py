"""What every suite's command does around its evaluation: flags, errors of one line, exit codes, files, printing."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, NoReturn, TypeVar

import msgspec
from rich.console import Console

from actors.episode import GameError
from common.command_line import BAD_INPUT, alike, meant, print_json
from common.errors import os_refusal
from common.records import Record
from evals.arguments import NAME
from evals.core import results
from evals.core.asking import REPLIES
from evals.core.client import EngineLost, ModelClient
from evals.core.engine import Vllm
from evals.core.report import Report, markdown, show

FAILED, INTERRUPTED = 1, 130  # exit codes
BASELINES = "baselines"
WIDTH = 100
Result = TypeVar("Result", bound=Record)


class Suite(NamedTuple, Generic[Result]):
    """What a benchmark does, in this order.

    `evaluate` does everything except telling of it, and raises ValueError for bad input, EngineLost for a dead engine;
    `report` is what is told; `draw` draws report.png.
    """

    evaluate: Callable[[Namespace, Console, ModelClient], Result]
    report: Callable[[Result], Report]
    draw: Callable[[Result, Path], None]


def conclude(args: Namespace, suite: Suite[Result], client: ModelClient | None) -> int:
    """Score what the arguments name; returns the exit code. With --json standard output is for the document alone."""
    console = Console(width=max(WIDTH, Console().width), stderr=args.json, markup=False)
    try:
        result = suite.evaluate(args, console, client or Vllm())
        report = suite.report(result)
        if args.out is not None:
            results.write(args.out, result, markdown(report), partial(suite.draw, result) if report.drawn else None)
    except (ValueError, OSError) as error:
        _fail(os_refusal(error) if isinstance(error, OSError) else " ".join(str(error).split()), BAD_INPUT)
    except EngineLost as error:
        _fail(f"{error}; the same command continues from {args.out / REPLIES}", FAILED)
    except GameError as error:
        _fail(f"the game failed in {error}", FAILED)
    except KeyboardInterrupt:
        _fail("interrupted; the same command continues", INTERRUPTED)
    if args.json:
        print_json({name: value for name, value in msgspec.to_builtins(result).items() if name != "cases"})
        return 0
    show(report, console)
    if args.out is not None:
        console.print(f"report: {args.out / 'report.md'}")
    return 0


def system_of(args: Namespace) -> str:
    """What is scored, as results name it: a model, or a policy without one."""
    name: str = args.model or args.policy or BASELINES
    return name


def some_of(flag: str, given: str | None, known: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    """What a flag names with commas, in the order of `known`. Raises ValueError for what does not exist."""
    named = default if given is None else tuple(name.strip() for name in given.split(","))
    for name in named:
        if name not in known:
            close = meant(alike(name, known))
            raise ValueError(f"--{flag} {name or '(empty)'}: write some of {','.join(known)}{close}")
    return tuple(name for name in known if name in named)


def _fail(message: str, code: int) -> NoReturn:
    print(f"{NAME}: {message}", file=sys.stderr)
    raise SystemExit(code)
