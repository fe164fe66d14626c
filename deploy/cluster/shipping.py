"""What Ray must copy to the machines of a cluster, so that a game from outside this project is there too."""

from __future__ import annotations

import importlib.util
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from common.sections import EnvSettings


def modules_to_ship(games: Iterable[EnvSettings]) -> list[str]:
    """The files and folders of the modules of games that are given by their class, for Ray's `py_modules`.

    Left out are those right in the working directory, where the actors find them too, and installed packages, which are
    to be installed on every machine.
    """
    found = {_source(game.class_) for game in games if game.class_}
    there = (Path.cwd().resolve(), *(Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")))
    return sorted(str(path) for path in found if path.parent not in there)


def _source(path: str) -> Path:
    """The file or folder of the top-level module in `package.module:Class`, which has been imported."""
    spec = importlib.util.find_spec(path.partition(":")[0].partition(".")[0])
    assert spec is not None, path
    places = list(spec.submodule_search_locations or [])
    return Path(places[0] if places else str(spec.origin)).resolve()
