"""One note to a trained Doctor: `python -m deploy.ask runs/laptop --note note.txt`. Research, not for clinical use.

The note is plain text, split into sentences as the environment does; `-` reads it from standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from actors.engine import PromptTooLong
from common.config import RunSpec
from deploy import cli
from deploy.export import finished_run
from envs.verdict.data.text import repair, split_sentences
from envs.verdict.doctor.grammar import Invalid, Verdict, parse
from envs.verdict.prompts import doctor_messages
from evals.core.client import EngineLost, ModelClient
from evals.core.engine import Vllm

FAILED = 1  # exit code


def read_note(path: str) -> list[str]:
    """The note's sentences. Raises ValueError when there are none."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"--note {path}: cannot be read; write a plain text file, or - for standard input") from None
    sentences = split_sentences(repair(text))
    if not sentences:
        raise ValueError(f"--note {path}: holds no sentence")
    return sentences


async def reply(client: ModelClient, spec: RunSpec, folder: Path, sentences: Sequence[str]) -> tuple[str, bool]:
    """The Doctor's likeliest reply and whether it met the token limit. Raises EngineLost, or ValueError: too long."""
    async with client.asking(spec, folder, samples=1) as ask:
        try:
            sampled = await ask(doctor_messages(sentences))
        except PromptTooLong as error:
            raise ValueError(f"the note is too long: {error}") from None
    (completion,) = sampled.completions
    return completion.text, completion.truncated


def told(sentences: Sequence[str], text: str, truncated: bool) -> Text:
    """The note with the accused sentence marked, the reasoning and the verdict."""
    verdict = Invalid(reason="truncated") if truncated else parse(text, len(sentences))
    accused = verdict.sentence if isinstance(verdict, Verdict) else None
    shown = Text()
    for index, sentence in enumerate(sentences):
        mark, style = (">", "bold red") if index == accused else (" ", "")
        shown.append(f"{mark} {index:2} {sentence}\n", style)
    if isinstance(verdict, Invalid):
        return shown.append(f"\nThe reply does not follow the format ({verdict.reason}):\n{text.strip()}")
    shown.append(f"\nReasoning  {verdict.thinking}\nVerdict    ")
    if not verdict.error:
        return shown.append("no clinical error", "bold green")
    shown.append(f"error of type {verdict.error_type} in sentence {verdict.sentence}", "bold red")
    return shown.append(f"\nCorrection {verdict.correction}")


def main(arguments: Sequence[str] | None = None, client: ModelClient | None = None) -> int:
    """Ask and print. 0, 1 when the engine failed, 2 and one line for bad input."""
    parser = argparse.ArgumentParser(prog="python -m deploy.ask", description="Give one note to a trained Doctor.")
    parser.add_argument("run", type=Path, help="the run's folder, for example runs/laptop")
    parser.add_argument("--note", required=True, help="a text file, or - for standard input")
    args = parser.parse_args(arguments)
    try:
        spec, sentences = finished_run(args.run), read_note(args.note)
        # Temperature 0: the likeliest reply, the same each time. Merged weights, whatever the run's transport was.
        likeliest = spec.sampling.model_copy(update={"temperature": 0.0})
        full = spec.weights.model_copy(update={"transport": "full"})
        spec = spec.model_copy(update={"sampling": likeliest, "weights": full})
        text, truncated = asyncio.run(reply(client or Vllm(), spec, args.run / "model", sentences))
    except ValueError as error:
        print(f"ask: {error}", file=sys.stderr)
        return cli.BAD_INPUT
    except EngineLost as error:
        print(f"ask: {error}", file=sys.stderr)
        return FAILED
    Console().print(told(sentences, text, truncated))
    return 0


if __name__ == "__main__":
    sys.exit(main())
