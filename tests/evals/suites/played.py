"""A suite of episodes, evaluated with a policy as its model."""

from __future__ import annotations

import random
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import pytest
from rich.console import Console

from common.records import LabelledTask, Record
from envs.contract.env import Act
from evals.arguments import parse
from evals.core import results
from evals.core.client import ModelClient
from evals.core.played import Trial, TurnGame
from evals.run import main
from tests.evals.clients import ActingClient, FakeClient

FILES = {"replies.jsonl", "result.json", "report.md", "report.png"}
Result = TypeVar("Result", bound=Record)
Evaluate = Callable[[Namespace, Console, ModelClient], Result]


class PlayedSuite(Generic[Result]):
    """A suite with the flags of every call in its tests; `trials` are those that a player knows."""

    def __init__(
        self,
        name: str,
        env: TurnGame,
        trials: Sequence[Trial],
        flags: Sequence[str],
        kind: type[Result],
        evaluate: Evaluate[Result],
    ) -> None:
        self._name, self._env, self._trials, self._flags = name, env, trials, flags
        self._kind, self._evaluate = kind, evaluate

    def first(self, trial: Trial) -> str:
        """The first message of a trial."""
        _, turn = self._env.begin(trial.labelled.task)
        return turn.messages[0].content

    def right(self, labelled: LabelledTask) -> Act:
        """Begins a perfect episode."""
        return self._env.oracle(labelled, random.Random(0))

    def player(self, begin: Callable[[LabelledTask], Act] | None = None, dies_after: int = 10**9) -> ActingClient:
        """A model that plays each of the trials by a policy, the perfect one unless another is given."""
        by_prompt = {self.first(trial): trial.labelled for trial in self._trials}
        return ActingClient(lambda prompt: (begin or self.right)(by_prompt[prompt]), dies_after)

    def run(self, out: Path, client: FakeClient | None, *flags: str) -> Result:
        """The result that the command leaves, of a model or by a flag."""
        who = () if client is None else ("--model", "m")
        assert main(["--suite", self._name, *who, "--out", str(out), *self._flags, *flags], client) == 0
        return results.load(out / "result.json", self._kind)

    def evaluated(self, out: Path, client: FakeClient, *flags: str) -> Result:
        """Without the report, of which the drawing takes most of the time."""
        args = parse(["--suite", self._name, "--model", "m", "--out", str(out), *self._flags, *flags], "eval")
        return self._evaluate(args, Console(quiet=True), client)

    def refusal(
        self, capsys: pytest.CaptureFixture[str], *flags: str, client: FakeClient | None = None, code: int = 2
    ) -> str:
        """The one line of a call that fails."""
        with pytest.raises(SystemExit) as ended:
            main(["--suite", self._name, *flags], client or self.player())
        assert ended.value.code == code
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("eval: ")
        return lines[0]
