from __future__ import annotations

from pathlib import Path

import pytest

from common.paths import beside, input_path, path_of


def test_a_home_folder_is_expanded_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_of("~/a b [x].csv") == tmp_path / "a b [x].csv"
    assert path_of("$HOME/x*") == Path("$HOME/x*")


@pytest.mark.parametrize("written", ["", "a\0b", "~nobody-of-this-name/x"])
def test_what_is_no_path_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        path_of(written)


def test_a_file_is_found_here_then_beside_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (there / "n.csv").write_text("")
    monkeypatch.chdir(here)
    assert input_path("n.csv") == Path("n.csv"), "there is none"
    with beside(there):
        assert input_path("n.csv") == there / "n.csv"
        (here / "n.csv").symlink_to(there / "n.csv")
        assert input_path("n.csv") == here / "n.csv", "a link stays one"
