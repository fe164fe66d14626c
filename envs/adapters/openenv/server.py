"""The door for OpenEnv: a server of any game. Runs in `.venv-openenv`, which has neither torch nor vLLM.

.venv-openenv/bin/python -m envs.adapters.openenv --game lookup --port 8000
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from msgspec import to_builtins
from openenv.core.env_server.http_server import create_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import EnvironmentMetadata

from envs.adapters.openenv.models import GameAction, GameObservation, GameState
from envs.adapters.session import Seen, Session
from envs.adapters.source import Source

VERSION = "1"


class GameEnvironment(Environment[GameAction, GameObservation, GameState]):  # type: ignore[misc]
    """One session of a game; the server makes one for each connection."""

    SUPPORTS_CONCURRENT_SESSIONS: ClassVar[bool] = True

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source, self._session = source, Session(source)
        self._episode_id: str | None = None

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        index: int | None = None,
        split: str | None = None,
        **others: Any,
    ) -> GameObservation:
        """See `Session.reset`. Raises ValueError for other arguments, which OpenEnv would drop in silence."""
        if others:
            raise ValueError(f"reset takes seed, index, split and episode_id, not {min(others)}")
        seen = self._session.reset(index, seed, split)
        self._episode_id = episode_id or f"{self._source.name}-{self._session.info()['index']}"
        return self._shown(seen)

    def step(self, action: GameAction, timeout_s: float | None = None, **others: Any) -> GameObservation:
        """What follows an action; a step takes no time worth a limit. Raises ValueError where no episode is open."""
        return self._shown(self._session.step(action.act()))

    @property
    def state(self) -> GameState:
        """Where the episode is."""
        info = self._session.info()
        return GameState(
            episode_id=self._episode_id,
            step_count=info.get("turn", 0),
            done=self._session.done,
            **{name: info.get(name) for name in ("game", "task_id", "split", "index")},
        )

    def get_metadata(self) -> EnvironmentMetadata:
        """The game's name and what it says of itself."""
        return EnvironmentMetadata(name=self._source.name, description=self._source.env.notice, version=VERSION)

    def _shown(self, seen: Seen) -> GameObservation:
        result = self._session.result
        return GameObservation(
            messages=to_builtins(seen.messages),
            tools=to_builtins(seen.tools),
            turn=seen.turn,
            done=seen.done,
            reward=seen.reward,
            reason=seen.reason and str(seen.reason),
            solved=result and result.solved,
        )


def app_of(source: Source, sessions: int) -> FastAPI:
    """The server's application, for at most that many sessions at a time. What is wrong with a request is a 422."""
    app: FastAPI = create_app(
        partial(GameEnvironment, source),
        GameAction,
        GameObservation,
        env_name=source.name,
        max_concurrent_envs=sessions,
        state_cls=GameState,
    )
    app.add_exception_handler(ValueError, _refused)
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=422)
