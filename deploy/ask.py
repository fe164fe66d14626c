"""Ask a trained model: `medserl ask runs/lookup --task 3`, `medserl ask runs/laptop --text note.txt`.

It plays one task of the run's game, one that the game makes or one in a file, through the code that rollouts and
evaluation use; or it replies to a text, with the prompt that the game makes of it. `-` reads standard input. The model
gives its most likely reply in each turn. Research, not for clinical use.
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
from actors.episode import GameError, PartnerError, Played, of_game, play, score
from common.command_line import BAD_INPUT
from common.config import RunSpec
from common.files import read_text, text_of
from common.flags import path_of
from common.records import LabelledTask, Task
from common.sections import EnvSettings
from deploy import commands
from deploy.export import finished_run
from deploy.report.episode_text import Printer
from envs.contract import registry
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Environment
from envs.contract.replay import turns
from envs.contract.report import Report, Span
from envs.contract.reports import reports_of
from evals.core.client import EngineLost, ModelClient
from evals.core.engine import Vllm

FAILED = 1  # exit code


def main(arguments: Sequence[str] | None = None, client: ModelClient | None = None) -> int:
    """`python -m deploy.ask`."""
    return run(commands.parse("ask", "python -m deploy.ask", arguments), client)


def run(args: Namespace, client: ModelClient | None = None) -> int:
    """Ask and print. 0, 1 when the engine or the game failed, 2 and one line for bad input."""
    try:
        spec = finished_run(args.run)
        settings = _game(spec, args.env)
        asking = _Asking(client or Vllm(), spec, args.run / "model", reports_of(spec)[settings.id])
        spans = asking.about(args.text) if args.text is not None else asking.play(settings, args)
    except ValueError as error:
        return _fail(error, BAD_INPUT)
    except (EngineLost, GameError, PartnerError) as error:
        return _fail(error, FAILED)
    shown = Text.assemble(*spans)
    shown.rstrip()
    Console().print(shown, soft_wrap=args.text is None)  # prose is wrapped at words, what a game reads is left as it is
    return 0


class _Asking:
    """One run's model, for one of its games."""

    def __init__(self, client: ModelClient, spec: RunSpec, folder: Path, report: Report) -> None:
        # Temperature 0: the most likely reply, the same each time. The run left merged weights, whatever its transport.
        likeliest = spec.sampling.model_copy(update={"temperature": 0.0})
        whole = spec.weights.model_copy(update={"transport": None})
        self._spec = spec.model_copy(update={"sampling": likeliest, "weights": whole})
        self._client, self._folder, self._report = client, folder, report

    def about(self, path: str) -> tuple[Span, ...]:
        """The reply about the text of a file."""
        text = given_text("--text", path)
        question = self._report.question(text)

        async def reply() -> tuple[str, bool]:
            async with self._client.asking(self._spec, self._folder) as model:
                sampled = await model.start(question, 1, self._spec.sampling.max_tokens)
            (completion,) = sampled.completions
            return completion.text, completion.truncated

        try:
            said, truncated = asyncio.run(reply())
        except PromptTooLong as error:
            raise ValueError(f"the text is too long: {error}") from None
        return self._report.answer(text, said, truncated)

    def play(self, settings: EnvSettings, args: Namespace) -> list[Span]:
        """A whole episode of the task that the arguments name."""
        env = registry.make(settings, self._spec.seed)
        given: Task | LabelledTask
        if args.task_file is None:
            given, origin = own_task(env, settings, args.task or 1)
        else:
            given, origin = self._report.task_of(given_text("--task-file", args.task_file), settings), args.task_file
        task = given.task if isinstance(given, LabelledTask) else given
        try:
            played = asyncio.run(self._played(env, task))
        except PromptTooLong as error:
            raise ValueError(f"the task is too long: {error}") from None
        head: Span = (f"Task {task.task_id} of the game {settings.id}, {origin}\n\n", "bold")
        return [head, *_told(env, given, played, Printer(args.full))]

    async def _played(self, env: Environment, task: Task) -> Played:
        async with self._client.asking(self._spec, self._folder) as model:
            (played,) = await play(env, task, model, 1, self._spec.sampling.max_tokens)
        return played


def own_task(env: Environment, settings: EnvSettings, number: int) -> tuple[LabelledTask, str]:
    """The game's task of that number, from 1, and what it is; a training task where the game holds none back.

    Raises ValueError when there are fewer.
    """
    plan, kind = (env.heldout_plan, "held-out") if settings.has_heldout else (env.plan, "training")
    made = asyncio.run(tasks_by_rule(env, plan, number))
    if len(made) < number:
        raise ValueError(
            f"--task {number}: the game {settings.id} makes {len(made)} {kind} tasks without a model: write a number "
            f"from 1 to {len(made)}"
            if made
            else f"the game {settings.id} makes no {kind} task without a model"
        )
    return made[-1][1], f"{kind} task {number}"


def given_text(flag: str, path: str) -> str:
    """The text of the file that a flag names. Raises ValueError when it cannot be read."""
    advice = "write a plain text file, or - for standard input"
    try:
        return text_of(sys.stdin.buffer.read(), "standard input") if path == "-" else read_text(path_of(path), advice)
    except ValueError as error:
        raise ValueError(f"{flag} {error}") from None


def _told(env: Environment, given: Task | LabelledTask, played: Played, printer: Printer) -> list[Span]:
    task = given.task if isinstance(given, LabelledTask) else given
    shown = [turn.messages for turn in of_game("advance", turns, env, task, played.episode)]
    unread = of_game("unread", env.unread, played.episode)
    spans = [*printer.episode(played, shown, unread), *printer.end(played, unread)]
    if isinstance(given, LabelledTask):
        spans += printer.score(score(env, played.episode, given.label), given.label)
    return spans


def _game(spec: RunSpec, env_id: str | None) -> EnvSettings:
    """The settings of the game that is asked for, else of the run's first one. Raises ValueError for another."""
    for settings in spec.envs:
        if env_id in (None, settings.id):
            return settings
    raise ValueError(f"--env {env_id}: the run plays {', '.join(settings.id for settings in spec.envs)}")


def _fail(error: Exception, code: int) -> int:
    print(f"ask: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
