"""vLLM's errors as others hear of them."""

from __future__ import annotations

import inspect
import pickle
import sys
import types
from collections.abc import Iterator

import pytest

from actors.engine import Engine
from actors.engine_errors import EngineDied, RequestFailed, readable_deaths


class EngineDeadError(Exception):
    """In the place of vLLM's."""


class EngineGenerateError(Exception):
    """The same."""


@pytest.fixture(autouse=True)
def vllm_errors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """vLLM without its weight."""
    for name in ("vllm", "vllm.v1", "vllm.v1.engine", "vllm.v1.engine.exceptions"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    exceptions = sys.modules["vllm.v1.engine.exceptions"]
    exceptions.EngineDeadError, exceptions.EngineGenerateError = EngineDeadError, EngineGenerateError  # type: ignore[attr-defined]
    yield


@readable_deaths
class Fragile:
    async def ask(self, error: Exception | None = None) -> str:
        """Raises `error`, or answers."""
        if error is not None:
            raise error
        return "alive"

    def plain(self) -> str:
        return "not awaited"


async def test_a_dead_core_is_told_by_an_error_that_needs_no_vllm() -> None:
    with pytest.raises(EngineDied, match="core gone") as died:
        await Fragile().ask(EngineDeadError("core gone"))
    assert b"vllm" not in pickle.dumps(died.value)


async def test_a_request_that_fails_is_no_death_and_says_what_was_raised() -> None:
    wrapped = EngineGenerateError()
    wrapped.__cause__ = ValueError("prompt contains an out-of-vocabulary token id")
    with pytest.raises(RequestFailed, match="ValueError: prompt contains an out-of-vocabulary token id") as failed:
        await Fragile().ask(wrapped)
    assert not isinstance(failed.value, EngineDied) and b"vllm" not in pickle.dumps(failed.value)


async def test_other_errors_and_answers_pass_as_they_are() -> None:
    assert await Fragile().ask() == "alive" and Fragile().plain() == "not awaited"
    with pytest.raises(KeyError):
        await Fragile().ask(KeyError("prompt"))


def test_every_call_of_an_engine_is_covered_and_still_a_coroutine_method() -> None:
    for name in ("load", "generate", "sample", "pause", "resume", "update_weights", "prove", "check_health"):
        method = getattr(Engine, name)
        assert inspect.iscoroutinefunction(method) and hasattr(method, "__wrapped__"), name
    assert list(inspect.signature(Fragile.ask).parameters) == ["self", "error"]
