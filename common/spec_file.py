"""Finding and reading the spec file that a command was given: a path, or the name of one in deploy/specs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.command_line import alike, meant
from common.files import read_text
from common.paths import is_there
from common.yaml_text import parse_yaml

SPECS = Path(__file__).parents[1] / "deploy" / "specs"
_SHORT_FOR = (Path("."), Path("deploy"))


def spec_file(given: Path) -> Path:
    """The file that `given` means. `laptop`, `laptop.yaml` and `deploy/laptop.yaml` mean deploy/specs/laptop.yaml.

    Raises ValueError when there is none, with the names that there are.
    """
    try:
        if given.exists() and not given.is_dir():
            return given
    except PermissionError:
        raise ValueError(f"{given}: may not be read; give read permission on it") from None
    except OSError as error:  # a name that is too long, a link to itself
        raise ValueError(f"{str(given)!r:.80}: {error.strerror}; write the path of a YAML file") from None
    shipped = SPECS / f"{given.stem}.yaml"
    if given.parent in _SHORT_FOR and given.suffix in ("", ".yaml") and shipped.is_file():
        return shipped.relative_to(Path.cwd()) if shipped.is_relative_to(Path.cwd()) else shipped
    if given.is_dir():
        inside = given / "spec.yaml"
        raise ValueError(f"{given}: is a folder; write {inside if is_there(inside) else 'the path of a YAML file'}")
    known = sorted(path.stem for path in SPECS.glob("*.yaml"))
    close = meant(alike(given.stem, known))
    raise ValueError(f"{given}: no such spec file; write its path, or one of {', '.join(known)}{close}")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a YAML file, unchecked. Raises ValueError, one line that names the file."""
    text = read_text(path, "write the path of a YAML file")
    try:
        content = parse_yaml(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"{path}: holds no settings; write `name: my-run` and what differs from the defaults")
    return content
