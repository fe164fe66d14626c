"""Finding the spec file that a command was given: a path, or a name in deploy/specs."""

from __future__ import annotations

from pathlib import Path

SPECS = Path(__file__).parents[1] / "deploy" / "specs"
_SHORT_FOR = (Path("."), Path("deploy"))


def spec_file(given: Path) -> Path:
    """The file that `given` means. `laptop`, `laptop.yaml` and `deploy/laptop.yaml` mean deploy/specs/laptop.yaml.

    Raises ValueError when there is none, with the names that there are.
    """
    if given.is_file():
        return given
    shipped = SPECS / f"{given.stem}.yaml"
    if given.parent in _SHORT_FOR and given.suffix in ("", ".yaml") and shipped.is_file():
        return shipped.relative_to(Path.cwd()) if shipped.is_relative_to(Path.cwd()) else shipped
    known = ", ".join(sorted(path.stem for path in SPECS.glob("*.yaml")))
    raise ValueError(f"{given}: no such spec file; write its path, or one of {known}")
