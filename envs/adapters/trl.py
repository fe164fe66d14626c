"""The door for TRL: a class for `GRPOTrainer(environment_factory=...)`. Nothing of TRL is imported.

    source = source_of("lookup", call_syntax="hermes")
    trainer = GRPOTrainer(
        model, train_dataset=Dataset.from_list(rows(64)), environment_factory=environment_factory(source), ...
    )

TRL makes one object per rollout. It shows what `reset` returns, offers every public method as a tool under its name,
types and docstring, and calls `get_reward` when the rollout is over. So a class is made for the game, with a method per
tool. A game without tools has one, `reply`. Tools whose answers the policy is to learn from are called by TRL in the
syntax of the model's chat template; the game never sees the model's own text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any, ClassVar, Literal

from common.records import EndReason, Tool
from envs.adapters.session import Seen, Session
from envs.adapters.source import Source, source_of
from envs.contract.call_schema import kind

TAKEN = ("reset", "get_reward")
"""Methods that TRL calls itself; every other public one is a tool."""
OVER = "The task is over."
REPLY = Tool(
    name="reply",
    description="answers the task",
    parameters={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
)
"""The tool of games that have none."""
_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": None,
    "array": list,
    "object": dict,
}


class TrlEnvironment:
    """One rollout at a time. `environment_factory` derives a class with the tools of a game."""

    _source: ClassVar[Source]
    _split: ClassVar[str]

    def __init__(self) -> None:
        self._session = Session(self._source, self._split)

    def reset(self, index: int | None = None, seed: int | None = None, **row: Any) -> str:
        """The task of a row of the data set, which names it by `index` or `seed`; its other columns are not read.

        Raises ValueError for a row without either: the rollouts of a group would be of different tasks.
        """
        if index is None and seed is None:
            raise ValueError("a row needs the column index, or seed, which names its task: see rows()")
        return self._session.reset(index, seed).text

    def get_reward(self) -> float:
        """The reward of the rollout. One that the game did not end, ended with a reply in which TRL found no call."""
        if not self._session.done:
            self._session.stop(EndReason.INVALID)
        result = self._session.result
        if result is None:
            raise ValueError("no rollout was begun: reset first")
        return float(result.total)


def environment_factory(
    game: str | Source, split: str = "train", seed: int = 0, **settings: Any
) -> type[TrlEnvironment]:
    """The class for `GRPOTrainer(environment_factory=...)`: TRL calls it once per rollout.

    Raises ValueError for an unknown game or setting, and for tools that cannot be methods.
    """
    source = source_of(game, seed, **settings)
    tools = Session(source, split).reset(index=0).tools
    methods = {tool.name: _method(tool, _call(tool.name)) for tool in tools} or {REPLY.name: _method(REPLY, _reply)}
    if hidden := [name for name in methods if name in TAKEN or name.startswith("_")]:
        raise ValueError(f"the game {source.name}: TRL cannot offer a tool of the name {hidden[0]}")
    name = f"{source.name.title().replace('_', '')}Environment"
    return type(name, (TrlEnvironment,), {"_source": source, "_split": split, **methods})


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Rows of a data set, one per task. What `reset` returns is appended to their empty prompt."""
    return [{"prompt": [{"role": "user", "content": ""}], "index": first + at} for at in range(count)]


def _call(name: str) -> Callable[..., str]:
    def method(self: TrlEnvironment, **arguments: Any) -> str:
        return _answer(self._session.step({"tool": name, "arguments": arguments}))

    return method


def _reply(self: TrlEnvironment, text: str) -> str:
    return _answer(self._session.step(text))


def _answer(seen: Seen) -> str:
    return OVER if seen.done else seen.text


def _method(tool: Tool, method: Callable[..., str]) -> Callable[..., str]:
    """The method with the name, the types and the docstring that transformers makes a tool's schema of."""
    properties, required = tool.parameters.get("properties", {}), tool.parameters.get("required", ())
    hints = {key: _hint(schema) for key, schema in properties.items()}
    empty = inspect.Parameter.empty
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)] + [
        inspect.Parameter(
            key, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=empty if key in required else None
        )
        for key, hint in hints.items()
    ]
    described = [f"    {key}: {_about(schema)}" for key, schema in properties.items()]
    method.__name__ = method.__qualname__ = tool.name
    method.__annotations__ = {**hints, "return": str}
    method.__doc__ = "\n".join(
        [f"{' '.join(tool.description.split())}\n", *(["Args:", *described] if described else [])]
    )
    method.__signature__ = inspect.Signature(parameters, return_annotation=str)  # type: ignore[attr-defined]
    return method


def _about(schema: dict[str, Any]) -> str:
    """One line, which transformers asks for. What a type does not say, such as a range, is in it."""
    words = "" if "enum" in schema or "const" in schema else kind(schema)
    return " ".join(f"{schema.get('description', '')} {words}".split()) or "one of these"


def _hint(schema: Any) -> Any:
    """The Python type of a schema, as closely as transformers can turn it back."""
    if not isinstance(schema, dict):
        return Any
    if values := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return Literal[tuple(values)]
    types = schema.get("type", ())
    if isinstance(types, list):
        return reduce(or_, (_hint({**schema, "type": one}) for one in types))
    if types == "array" and "items" in schema:
        return list[_hint(schema["items"])]  # type: ignore[misc]
    return _TYPES.get(types, Any) if types else Any
