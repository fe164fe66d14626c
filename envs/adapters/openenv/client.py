"""A typed client of the server: it speaks in the records of `models`.

async with GameClient(base_url="http://127.0.0.1:8000") as client:
    result = await client.reset(index=3)
    result = await client.step(GameAction(tool="look", arguments={"id": "c"}))
"""

from __future__ import annotations

from typing import Any

from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient

from envs.adapters.openenv.models import GameAction, GameObservation, GameState


class GameClient(EnvClient[GameAction, GameObservation, GameState]):  # type: ignore[misc]
    """A connection is a session. `reset` takes `index` or `seed`, and `split`; `.sync()` works without await."""

    def _step_payload(self, action: GameAction) -> dict[str, Any]:
        return action.act()

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[GameObservation]:
        reward, done = payload["reward"], payload["done"]
        observation = GameObservation(**payload["observation"], reward=reward, done=done)
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> GameState:
        return GameState(**payload)
