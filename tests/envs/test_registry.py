from __future__ import annotations

import sys

import pytest

from common.config import DataSpec
from envs import registry
from envs.env import Environment


def test_an_unknown_environment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'chess'; write one of contradiction, verdict"):
        registry.make("chess", DataSpec(), 0)


def test_the_verdict_game_is_made_by_its_id() -> None:
    made = registry.make("verdict", DataSpec(), 0)
    assert isinstance(made, Environment) and made.env_id == "verdict"


def test_making_one_environment_loads_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "envs.contradiction", raising=False)
    registry.make("verdict", DataSpec(), 0)
    assert "envs.contradiction" not in sys.modules
