"""Ask a trained model: `medserl ask runs/lookup --task 3`, `medserl ask runs/laptop --text note.txt`.

It plays one task of the run's game, one that the game makes or one in a file, through the code that rollouts and
evaluation use; or it replies to texts, with the prompt that the game makes of each. `-` reads standard input. A folder
that `medserl export` wrote is asked as a run is. The model gives its most likely reply in each turn. Research, not for
clinical use.
"""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from actors.engine import PromptTooLong
from actors.episode import GameError, Model, PartnerError, Played, of_game, play, score
from common.command_line import BAD_INPUT
from common.config import RunSpec
from common.files import is_file, listed, parse_json, read_text, text_of
from common.flags import path_of
from common.records import Completion, LabelledTask, Message, Record, Task
from common.sections import EnvSettings
from deploy import cli, commands
from deploy.export import SPEC, finished_run
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
        asked = client or Vllm()
        found = _models(args, asked)
        texts = None if args.text is None else [one for path in args.text for one in texts_of(path)]
        for title, spec, folder in found:
            settings = _game(spec, args.env)
            asking = _Asking(asked, spec, folder, reports_of(spec)[settings.id])
            answers = [asking.play(settings, args)] if texts is None else asking.about(texts)
            several = len(found) > 1 or len(answers) > 1
            for answer in answers:
                _print(answer, title if several else "", args.json, wrapped=texts is not None)
    except ValueError as error:
        return _fail(error, BAD_INPUT)
    except (EngineLost, GameError, PartnerError) as error:
        return _fail(error, FAILED)
    return 0


class Answer(Record):
    """What the model did about one text or task, for people and, without the model's name, for scripts."""

    name: str
    spans: tuple[Span, ...]
    facts: dict[str, Any]


def _models(args: Namespace, client: ModelClient) -> list[tuple[str, RunSpec, Path]]:
    """Who is asked: title, spec and folder of the weights. Raises ValueError."""
    run = args.run
    if is_file(run / "config.json") and not is_file(run / "spec.yaml"):
        spec, folder = _exported(run, args.spec), run
    else:
        if args.spec:
            raise ValueError(f"--spec is for an exported model: {run} has its own")
        spec, folder = finished_run(run), run / "model"
    trained = ("trained", spec, folder)
    return [trained, ("base", spec, client.resolve(spec)[0])] if args.base else [trained]


def _exported(folder: Path, named: Path | None) -> RunSpec:
    file = folder / SPEC
    if named is None and not is_file(file):
        raise ValueError(f"{folder}: holds no {SPEC}, so name the spec that it was trained with: --spec laptop")
    return cli.load(named or file)


def _print(answer: Answer, model: str, as_json: bool, wrapped: bool) -> None:
    """Under a heading where there are several; prose is wrapped at words, and what a game reads left as it is."""
    shown = Text.assemble(*answer.spans)
    shown.rstrip()
    if as_json:
        print(json.dumps({"name": answer.name, "model": model or "trained", **answer.facts, "shown": shown.plain}))
        return
    if model:
        Console().print(Text(f"\n{answer.name}, {model}", style="bold"), soft_wrap=True)
    Console().print(shown, soft_wrap=not wrapped)


class _Asking:
    """One run's model, for one of its games."""

    def __init__(self, client: ModelClient, spec: RunSpec, folder: Path, report: Report) -> None:
        # Temperature 0: the most likely reply, the same each time. The run left merged weights, whatever its transport.
        likeliest = spec.sampling.model_copy(update={"temperature": 0.0})
        whole = spec.weights.model_copy(update={"transport": None})
        self._spec = spec.model_copy(update={"sampling": likeliest, "weights": whole})
        self._client, self._folder, self._report = client, folder, report

    def about(self, texts: Sequence[tuple[str, str]]) -> list[Answer]:
        """The replies about texts, each with its name."""
        questions = [self._question(name, text) for name, text in texts]

        async def replies() -> list[Completion]:
            async with self._client.asking(self._spec, self._folder) as model:
                return [
                    await self._reply(model, name, asked) for (name, _), asked in zip(texts, questions, strict=True)
                ]

        answers = list[Answer]()
        for (name, text), said in zip(texts, asyncio.run(replies()), strict=True):
            spans = self._report.answer(text, said.text, said.truncated)
            answers.append(Answer(name=name, spans=spans, facts={"reply": said.text, "truncated": said.truncated}))
        return answers

    def _question(self, name: str, text: str) -> tuple[Message, ...]:
        try:
            return self._report.question(text)
        except ValueError as error:
            raise ValueError(f"--text {name}: {error}") from None

    async def _reply(self, model: Model, name: str, question: tuple[Message, ...]) -> Completion:
        try:
            sampled = await model.start(question, 1, self._spec.sampling.max_tokens)
        except PromptTooLong as error:
            raise ValueError(f"the text {name} is too long: {error}") from None
        (completion,) = sampled.completions
        return completion

    def play(self, settings: EnvSettings, args: Namespace) -> Answer:
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
        spans = (head, *_told(env, given, played, Printer(args.full)))
        return Answer(name=task.task_id, spans=spans, facts=_facts(env, given, played))

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


def texts_of(path: str) -> list[tuple[str, str]]:
    """Names and texts of what `--text` was given. Raises ValueError, one line, when it cannot be read."""
    folder = path_of(path)
    if path != "-" and folder.is_dir():
        files = sorted(_listed(folder))
        if not files:
            raise ValueError(f"--text {path}: no .txt file in this folder")
        return [(file.name, given_text("--text", str(file))) for file in files]
    text = given_text("--text", path)
    return _texts_of_lines(path, text) if path.endswith(".jsonl") else [(path, text)]


def _listed(folder: Path) -> list[Path]:
    try:
        return listed(folder, "*.txt")
    except ValueError as error:
        raise ValueError(f"--text {error}") from None


def _texts_of_lines(path: str, content: str) -> list[tuple[str, str]]:
    found = list[tuple[str, str]]()
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                row = parse_json(line)
            except ValueError as error:
                raise ValueError(f"--text {path}: line {number} is not JSON ({error})") from None
            if not isinstance(row, dict) or not isinstance(row.get("text"), str):
                raise ValueError(f'--text {path}: line {number} has no text; write {{"id": "a", "text": "..."}}')
            found.append((str(row.get("id", f"line {number}")), row["text"]))
    if not found:
        raise ValueError(f"--text {path}: no line in it")
    return found


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


def _facts(env: Environment, given: Task | LabelledTask, played: Played) -> dict[str, Any]:
    """An episode for scripts."""
    episode = played.episode
    facts: dict[str, Any] = {"actions": episode.actions, "ended": str(episode.reason)}
    if isinstance(given, LabelledTask):
        reward = score(env, episode, given.label)
        facts |= {"reward": reward.total, "solved": reward.solved, "reason": reward.reason}
    return facts


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
