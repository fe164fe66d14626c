"""Ask a trained model about one text: `medserl ask runs/laptop --note note.txt`. Research, not for clinical use.

The prompt is the one that the run's game makes of the text; `-` reads it from standard input.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from actors.engine import PromptTooLong
from common.command_line import BAD_INPUT
from common.config import RunSpec
from common.records import Message
from deploy import commands
from deploy.export import finished_run
from envs.contract.reports import reports_of
from evals.core.client import EngineLost, ModelClient
from evals.core.engine import Vllm

FAILED = 1  # exit code


def read_text(path: str) -> str:
    """The text of the file. Raises ValueError when it cannot be read."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"--note {path}: cannot be read; write a plain text file, or - for standard input") from None


async def reply(client: ModelClient, spec: RunSpec, folder: Path, messages: tuple[Message, ...]) -> tuple[str, bool]:
    """The Doctor's most likely reply, and whether it reached the token limit.

    Raises EngineLost, and ValueError when the text is too long.
    """
    async with client.asking(spec, folder, samples=1) as ask:
        try:
            sampled = await ask(messages)
        except PromptTooLong as error:
            raise ValueError(f"the text is too long: {error}") from None
    (completion,) = sampled.completions
    return completion.text, completion.truncated


def main(arguments: Sequence[str] | None = None, client: ModelClient | None = None) -> int:
    """`python -m deploy.ask`."""
    return run(commands.parse("ask", "python -m deploy.ask", arguments), client)


def run(args: Namespace, client: ModelClient | None = None) -> int:
    """Ask and print. 0, 1 when the engine failed, 2 and one line for bad input."""
    try:
        spec, text = finished_run(args.run), read_text(args.note)
        report = next(iter(reports_of(spec).values()))
        question = report.question(text)
        # Temperature 0: the most likely reply, the same each time. The run left merged weights, whatever its transport.
        likeliest = spec.sampling.model_copy(update={"temperature": 0.0})
        full = spec.weights.model_copy(update={"transport": "full"})
        spec = spec.model_copy(update={"sampling": likeliest, "weights": full})
        said, truncated = asyncio.run(reply(client or Vllm(), spec, args.run / "model", question))
    except ValueError as error:
        print(f"ask: {error}", file=sys.stderr)
        return BAD_INPUT
    except EngineLost as error:
        print(f"ask: {error}", file=sys.stderr)
        return FAILED
    Console().print(Text.assemble(*report.answer(text, said, truncated)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
