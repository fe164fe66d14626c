"""What every suite's command does around its evaluation: errors of one line, exit codes, files, what is printed."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, NoReturn, TypeVar

import msgspec
from rich.console import Console

from actors.episode import GameError
from common.command_line import BAD_INPUT, print_json
from common.config import RunSpec
from common.errors import os_refusal
from common.records import Record
from evals.arguments import NAME
from evals.core.client import EngineLost, ModelClient
from evals.core.engine import Vllm
from evals.core.journal import Settings

FAILED, INTERRUPTED = 1, 130  # exit codes
REPLIES = "replies.jsonl"
WIDTH = 100
Result = TypeVar("Result", bound=Record)


class Suite(NamedTuple, Generic[Result]):
    """What a benchmark does, in this order.

    `evaluate` does everything except writing the report, and raises ValueError for bad input, EngineLost for a dead
    engine; `write` writes the report's files into a folder; `show` prints the tables.
    """

    evaluate: Callable[[Namespace, Console, ModelClient], Result]
    write: Callable[[Path, Result], None]
    show: Callable[[Result, Console], None]


def conclude(args: Namespace, suite: Suite[Result], client: ModelClient | None) -> int:
    """Score what the arguments name; returns the exit code. With --json standard output is for the document alone."""
    console = Console(width=max(WIDTH, Console().width), stderr=args.json, markup=False)
    try:
        result = suite.evaluate(args, console, client or Vllm())
        if args.out is not None:
            suite.write(args.out, result)
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
    suite.show(result, console)
    if args.out is not None:
        console.print(f"report: {args.out / 'report.md'}")
    return 0


def resolved(
    args: Namespace, spec: RunSpec, console: Console, client: ModelClient, samples: int
) -> tuple[Path, Settings]:
    """The folder of the model that is asked, and what its replies depend on. Makes the --out folder."""
    console.print(f"resolving {spec.model.source}")
    folder, digest = client.resolve(spec)
    args.out.mkdir(parents=True, exist_ok=True)
    return folder, Settings(
        model=args.model,
        checksum=digest,
        dtype=spec.model.concrete_dtype,
        temperature=args.temperature,
        samples=samples,
        max_tokens=spec.sampling.max_tokens,
        seed=spec.seed,
    )


def _fail(message: str, code: int) -> NoReturn:
    print(f"{NAME}: {message}", file=sys.stderr)
    raise SystemExit(code)
