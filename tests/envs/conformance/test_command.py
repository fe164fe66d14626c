"""What `medserl check-env` adds to `check`: parts, release tasks, the rate, the exit code; and replayed transcripts."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

import msgspec
import pytest

from common.records import Episode, Label, LabelledTask, Limits, Message, Provenance, Reward, Task
from common.sections import EnvSettings
from envs.conformance import command
from envs.conformance.baselines import commonest
from envs.conformance.command import main
from envs.conformance.released import problems_of, released
from envs.conformance.report import Report, table
from envs.contract import registry
from envs.contract.env import Complete, Slot, Turn
from envs.contract.game import Game
from envs.contract.probing import Policy, Unit
from envs.contract.replay import play


class ParitySettings(EnvSettings):
    ceiling: ClassVar[float] = 0.6
    leak_limit: ClassVar[float] = 1.0

    id: str = "odd_or_even"


class OddOrEven(Game):
    """`P12: 7?` is answered by `P12 odd`. Even and odd numbers take turns."""

    env_id = "odd_or_even"
    Settings = ParitySettings
    listed: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    def plan(self, index: int) -> Slot:
        return Slot(index=index, source=f"v{index // 2}", kind="odd" if index % 2 else "even", seed=index)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask:
        return self.made(slot.index)

    def made(self, number: int) -> LabelledTask:
        provenance = Provenance(source=f"v{number // 2}", vignette=f"v{number // 2}", kind=("even", "odd")[number % 2])
        task = Task(
            env=self.env_id,
            task_id=f"n{number}",
            split="train",
            context={"number": number},
            limits=Limits(),
            provenance=provenance,
        )
        return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={"answer": provenance.kind}))

    def release(self) -> tuple[str, ...]:
        return tuple(map(str, self.listed))

    def release_task(self, name: str) -> LabelledTask:
        return self.made(int(name))

    def foreign(self, episode: Episode, label: Label) -> int:
        return int("P999" in episode.actions[0])

    def blind(self) -> Mapping[str, Policy]:
        return {"says odd": lambda: lambda turn: f"{_id(turn)} odd"}

    def units(self, labelled: LabelledTask) -> tuple[Unit, ...]:
        return ()

    def open(self, task: Task) -> Turn:
        number = task.context["number"]
        return Turn(messages=(Message(role="user", content=f"P{100 + number}: {number}?"),))

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        self.check_label(episode, label)
        said, _, answer = episode.actions[0].partition(" ")
        whole = said == f"P{100 + int(episode.task_id[1:])}" and not episode.truncated
        right = whole and answer == label.truth["answer"]
        return Reward(
            components={"a": float(right)}, total=float(right), reason=answer if right else "no", solved=right
        )

    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        return f"P{100 + labelled.task.context['number']} {labelled.label.truth['answer']}"


def _id(turn: Turn) -> str:
    return turn.messages[0].content.partition(":")[0]


class ListsTwice(OddOrEven):
    listed = (1, 2, 2, 4)


class ListsOddOnes(OddOrEven):
    listed = (1, 3, 5, 6)


class NamesAStranger(OddOrEven):
    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        return "P999 odd" if labelled.task.task_id == "n4" else super().demonstration(labelled, rng)


class Contrary:
    def disagreement(self, labelled: LabelledTask) -> str | None:
        return "it is odd" if labelled.task.task_id == "n4" else None


@pytest.mark.parametrize(
    ("game", "checker", "problem"),
    [
        (OddOrEven, None, ""),
        (ListsTwice, None, "1 tasks are listed twice"),
        (ListsOddOnes, None, "a says odd policy earns 0.75, above 0.6"),
        (NamesAStranger, None, "1 calls of the oracle name what their task does not have"),
        (NamesAStranger, None, "the oracle scores 0.00 in one task, not 1.00"),
        (OddOrEven, Contrary(), "the independent checker disputes 1 labels"),
    ],
)
def test_what_is_wrong_with_listed_tasks_is_named(
    game: type[OddOrEven], checker: Contrary | None, problem: str
) -> None:
    found = released(game(ParitySettings(), 0), checker)
    assert found is not None and found.tasks == 4
    problems = list(problems_of(found, 1.0, ParitySettings.ceiling))
    assert any(problem in one for one in problems) if problem else problems == []


def test_the_commonest_transcript_is_replayed_with_the_ids_of_the_task_at_hand() -> None:
    game = OddOrEven(ParitySettings(), 0)
    numbers = {1: "odd", 3: "odd", 4: "even"}
    right = [(f"P{100 + number}: {number}?", [f"P{100 + number} {kind}"]) for number, kind in numbers.items()]
    best, other = commonest(right)
    task = game.made(7).task
    assert play(game, task, best()).actions == ("P107 odd",) and play(game, task, other()).actions == ("P107 even",)
    assert len(commonest(right[:1] * 3)) == 1


def test_every_part_of_a_game_has_a_report_and_a_line_and_one_that_misses_a_bound_ends_the_command_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Parts(ParitySettings):
        rate_floor: ClassVar[float] = 1
        fast: bool = True

        @property
        def parts(self) -> dict[str, Parts]:  # type: ignore[override]
            return {"one": self, "two": Slow()}

    class Slow(Parts):
        rate_floor: ClassVar[float] = 1e12

    class InParts(OddOrEven):
        Settings = Parts

    monkeypatch.setattr(registry, "GAMES", {InParts.env_id: ""})
    monkeypatch.setattr(registry, "load", lambda path: InParts)
    monkeypatch.setattr(command, "_elsewhere", lambda settings, count: iter(()))
    assert main(["odd_or_even", "--count", "40"]) == 1
    out = capsys.readouterr().out
    assert "odd_or_even one: 0 problems" in out and "odd_or_even two: 1 problems" in out
    assert "below 1000000000000" in out and out.count("release: 4 tasks, 4 distinct") == 2
    assert [line.split()[:2] for line in out.splitlines()[-2:]] == [["odd_or_even", "one"], ["odd_or_even", "two"]]


def test_a_table_says_what_was_not_checked() -> None:
    report = Report(
        env_id="x", kinds={"a": 2}, rejections={}, oracle=1, policies={"null": 0}, leaks={"words": 0.5}, problems=()
    )
    assert "no independent checker" in str(report)
    whole = msgspec.structs.replace(report, disputed=0, made_per_s=12.4)
    assert "0 labels disputed, 12 a second" in str(whole)
    head, without, with_all = (line.split() for line in table([report, whole]).splitlines())
    assert len(head) == 10 and without[3] == "-" and with_all[3] == "0" and with_all[-4] == "12"
