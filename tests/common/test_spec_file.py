from __future__ import annotations

from pathlib import Path

import pytest

from common.spec_file import SPECS, spec_file


def test_a_name_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert spec_file(Path("smoke")) == spec_file(Path("deploy/smoke.yaml")) == SPECS / "smoke.yaml"


def test_a_file_that_is_there_comes_before_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("smoke.yaml").write_text("name: mine\n")
    assert spec_file(Path("smoke.yaml")) == Path("smoke.yaml")


@pytest.mark.parametrize("given", ["smok", "smoke.txt", "other/smoke.yaml", "runs/smoke"])
def test_what_means_no_file_is_refused_with_the_names_there_are(given: str) -> None:
    with pytest.raises(ValueError, match=f"^{given}: no such spec file; write its path, or one of .*laptop, learns, "):
        spec_file(Path(given))


def test_what_can_be_no_file_is_refused_in_one_line(tmp_path: Path) -> None:
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    for given in (Path("9" * 5000), loop):
        with pytest.raises(ValueError, match=r"write the path of a YAML file|no such spec file") as caught:
            spec_file(given)
        assert len(str(caught.value)) < 2000 and "\n" not in str(caught.value)
