from __future__ import annotations

from pathlib import Path

import pytest

from common.sections import EnvSettings
from deploy.cluster.shipping import modules_to_ship


def game(path: str | None) -> EnvSettings:
    return EnvSettings(id="game", class_=path)


@pytest.mark.parametrize("path", [None, "envs.contradiction.environment:Contradiction", "rich.console:Console"])
def test_what_every_machine_has_is_not_shipped(path: str | None) -> None:
    assert modules_to_ship([game(path)]) == []


def test_a_module_is_shipped_as_a_file_and_a_package_as_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lone_game.py").write_text("")
    (tmp_path / "many_games" / "inner").mkdir(parents=True)
    (tmp_path / "many_games" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    asked = [game("lone_game:Game"), game("many_games.inner:One"), game("many_games:Two"), game(None)]
    assert modules_to_ship(asked) == [str(tmp_path / "lone_game.py"), str(tmp_path / "many_games")]
