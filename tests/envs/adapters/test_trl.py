from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.records import Message, Task, Tool
from envs.adapters.trl import TAKEN, TrlEnvironment, environment_factory, rows
from envs.contract.env import Turn
from tests.envs.adapters.games import GUESS, Rumour, made

LOOK = Tool(
    name="look",
    description="shows\na thing",
    parameters={
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^P", "description": "which one"},
            "depth": {"type": "integer", "minimum": 1, "maximum": 9},
            "value": {"type": ["string", "number", "null"]},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "many": {"type": "array", "items": {"type": "number"}},
            "more": {},
        },
        "required": ["name", "depth", "value"],
    },
)


class Shelf(Rumour):
    """Its tool is set by the test."""

    env_id = "shelf"
    tools: tuple[Tool, ...] = ()

    def begin(self, task: Task) -> tuple[Any, Turn]:
        return 0, Turn(messages=(Message(role="user", content="Look."),), tools=self.tools)


def factory(monkeypatch: pytest.MonkeyPatch, tool: Tool) -> type[TrlEnvironment]:
    monkeypatch.setattr(Shelf, "tools", (tool,))
    return environment_factory("tests.envs.adapters.test_trl:Shelf")


def offered(environment: type) -> list[str]:
    """The methods that TRL takes for tools."""
    members = [name for name, _ in inspect.getmembers(environment, predicate=inspect.isfunction)]
    return [name for name in members if name not in TAKEN and not name.startswith("_")]


def test_the_tools_of_a_game_are_the_public_methods() -> None:
    assert offered(environment_factory("lookup")) == ["answer", "look"]
    assert offered(environment_factory(GUESS)) == ["reply"]


def test_transformers_makes_the_tool_s_schema_of_its_method(monkeypatch: pytest.MonkeyPatch) -> None:
    schemas = pytest.importorskip("transformers.utils.chat_template_utils", exc_type=ModuleNotFoundError)
    environment: Any = factory(monkeypatch, LOOK)()
    function = schemas.get_json_schema(environment.look)["function"]
    assert (function["name"], function["description"]) == ("look", "shows a thing")
    assert function["parameters"]["required"] == ["name", "depth", "value"]
    assert function["parameters"]["properties"] == {
        "name": {"type": "string", "description": "which one string ^P"},
        "depth": {"type": "integer", "description": "integer 1 to 9"},
        "value": {"type": ["number", "string"], "nullable": True, "description": "string | number | null"},
        "kind": {"type": "string", "enum": ["a", "b"], "description": "one of these"},
        "many": {"type": "array", "items": {"type": "number"}, "description": "list of number"},
        "more": {"description": "any"},
    }


@pytest.mark.parametrize("name", [*TAKEN, "_look"])
def test_a_tool_that_cannot_be_a_method_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(ValueError, match=f"the game shelf: TRL cannot offer a tool of the name {name}"):
        factory(monkeypatch, Tool(name=name, description="", parameters={"type": "object"}))


def test_a_row_that_names_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="a row needs the column index"):
        environment_factory("lookup")().reset(prompt=[])


def test_every_row_is_a_task_of_its_own_and_may_have_other_columns() -> None:
    environment = environment_factory(made("lookup"))()
    shown = {environment.reset(**row, answer="x") for row in rows(8)}
    assert len(shown) > 1 and [row["index"] for row in rows(2, first=5)] == [5, 6]


def test_a_fault_is_an_answer_and_a_call_after_the_end_an_error() -> None:
    environment: Any = environment_factory(made("lookup"))()
    environment.reset(index=0)
    assert "id must be" in environment.look(id="z")
    environment.reset(index=0)
    assert "look takes id, not 'name'" in environment.look(id="a", name="b")
    environment.reset(index=0)
    assert environment.answer(value=1) == "The task is over."
    with pytest.raises(ValueError, match="over"):
        environment.answer(value=1)


def test_a_rollout_that_the_game_did_not_end_is_scored_as_one_that_ended_without_a_call() -> None:
    environment: Any = environment_factory(made("lookup"))()
    with pytest.raises(ValueError, match="no rollout was begun"):
        environment.get_reward()
    environment.reset(index=0)
    environment.look(id="a")
    assert environment.get_reward() == environment.get_reward() == -1.0
    environment.reset(index=0)
    assert environment.get_reward() == -1.0


def test_the_objects_of_a_factory_share_nothing_but_the_game() -> None:
    made_by: Callable[[], Any] = environment_factory(made("lookup"))
    one, other = made_by(), made_by()
    one.reset(index=0)
    other.reset(index=0)
    one.answer(value=1)
    assert other.look(id="a").startswith("value=")


@pytest.mark.integration
def test_trl_trains_on_what_its_environments_return(tiny_model: Path, tmp_path: Path) -> None:
    from tests.envs.adapters.trl_run import one_step

    log, changed = one_step(tiny_model, tmp_path)
    assert log["rewards/LookupEnvironment/mean"] == 0.0, "half of the rollouts play as the oracle does: 1 and -1"
    assert log["tools/call_frequency"] == 1.0 and log["tools/failure_frequency"] == 0.0
    assert log["grad_norm"] > 0 and changed
