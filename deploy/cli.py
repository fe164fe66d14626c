"""Commands that read a spec: spec file < environment variables < flags, checked, with one clear line per mistake."""

from __future__ import annotations

import difflib
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import CliSettingsSource, SettingsError

from common.command_line import Parser, fail, meant
from common.config import RunSpec
from common.files import is_file
from common.paths import beside, path_of
from common.records import Record
from common.sections import Section
from common.spec_errors import UNKNOWN_FIELD, problem_line, problems
from common.spec_file import read_settings, spec_file
from common.yaml_text import NULLS
from deploy import commands, program, spec_flags, spec_help
from deploy.spec_flags import PREFIX, Flags

ACTOR_LOGS = "MEDSERL_ACTOR_LOGS"
"""Set to 1 to see what the actors print. The only MEDSERL variable that is not a field of the spec."""


NAMED = ("envs", "pools")
"""Fields that are lists of sections."""


class Command(Record):
    """What the user asked for. `file` is the spec without flags and variables; `flags` names the fields among them."""

    spec: RunSpec
    path: Path
    file: RunSpec
    flags: frozenset[str]
    dry_run: bool = False
    resume: bool = False
    json: bool = False

    @property
    def is_record(self) -> bool:
        """Whether the file is the run's own spec.yaml, wherever its folder lies now."""
        if self.path.name == "spec.yaml" and (self.path.parent / "applied.json").is_file():
            return True
        return self.path.resolve() == (path_of(self.spec.runs) / self.spec.name / "spec.yaml").resolve()


def fields_of(parser: Parser, arguments: Sequence[str] = ()) -> Flags:
    """Add every field of the spec to the parser, as a flag, and the help about them; `arguments` may name a spec that
    plays other games."""
    parser.add_argument("--data", metavar="FILE", help="data file: data.path of the only game of the run that has one")
    spec_help.add(parser)
    settings = spec_flags.settings_with(spec_flags.games_among(arguments))
    return Flags(settings, root_parser=parser, cli_hide_none_type=True, cli_avoid_json=False)


def parse(arguments: Sequence[str] | None, parser: Parser | None = None) -> Command:
    """Read the command line, by default that of `selfplay`. Exits with code 2 and one line when it is wrong."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = parser or commands.parser("selfplay", program.command("selfplay"))
    try:
        flags = fields_of(parser, given)
        return _command(parser.parse_args(given), flags)
    except ValueError as error:
        fail(parser.name, str(error))


def _command(parsed: Namespace, flags: CliSettingsSource[Any]) -> Command:
    given = frozenset(vars(parsed))
    path = spec_file(parsed.spec)
    file = load(path)  # a mistake in the file is reported as the file's
    try:
        with beside(path.parent):
            content = spec_flags.with_games(read_settings(path), parsed)
            spec = _resolve(content, flags(parsed_args=spec_flags.with_nulls(parsed)))
    except SettingsError as error:
        why = str(error.__cause__)
        raise ValueError(f"flags and environment: {error}{'' if why in str(error) else f': {why}'}") from None
    return Command(
        spec=spec,
        path=path,
        file=file,
        flags=frozenset(name for name in given | vars(parsed).keys() if name.split(".")[0] in RunSpec.model_fields),
        **{switch: getattr(parsed, switch, False) for switch in ("dry_run", "resume", "json")},
    )


def load(path: Path) -> RunSpec:
    """The spec of a file alone. Raises ValueError, one line, for what is wrong with it."""
    path = spec_file(path)
    with beside(path.parent):
        spec: RunSpec = _validated(f"{path}: ", RunSpec, read_settings(path))
    return spec


def load_run(folder: Path) -> RunSpec:
    """The spec of a run's folder. Raises ValueError when it is none."""
    if not is_file(folder / "spec.yaml"):
        raise ValueError(f"{folder}: no run there (a folder with spec.yaml); runs are kept under runs/")
    return load(folder / "spec.yaml")


def _resolve(content: dict[str, Any], flags: CliSettingsSource[Any]) -> RunSpec:
    _check_variables()
    settings = spec_flags.settings_with(spec_flags.games_of(content))
    found = _validated("flags and environment: ", settings, content, _cli_settings_source=flags)
    sections = {name: getattr(found, name) for name in RunSpec.model_fields}
    return RunSpec(**{**sections, "envs": [env.model_dump() for env in found.envs]})


def _check_variables() -> None:
    spec_flags.refuse_old_variables()
    fields = {f"{PREFIX}{field.upper()}" for field in RunSpec.model_fields}
    plain = {f"{PREFIX}{field.upper()}" for field in RunSpec.model_fields if field not in _sections()}
    for name, given in spec_flags.variables().items():
        if given != ACTOR_LOGS and name.split("__")[0] not in fields:
            close = difflib.get_close_matches(name, {*fields, ACTOR_LOGS}, n=1)
            raise ValueError(f"environment: {given}: unknown field{meant(close)}")
        field, _, part = name.partition("__")
        if part and field in plain:
            raise ValueError(f"environment: {given}: {field} has no parts; did you mean {field}?")
        if not part and os.environ[given] in NULLS:  # pydantic-settings would pass it over
            raise ValueError(f"environment: {given}: {os.environ[given]} is no value of it; unset it")


def _validated(source: str, model: type[Any], content: dict[str, Any], **extra: Any) -> Any:
    try:
        return model(**content, **extra)
    except ValidationError as error:
        lines = [f"{source}{_line(problem, content)}" for problem in problems(error)[:3]]
        raise ValueError("; ".join(lines)) from None


def _line(problem: Any, content: dict[str, Any]) -> str:
    is_unknown = problem["type"] == UNKNOWN_FIELD
    return problem_line(problem, _fields(problem["loc"][:-1], content) if is_unknown else ())


def _sections() -> set[str]:
    """The fields of a spec that have parts."""
    fields = RunSpec.model_fields.items()
    return {name for name, field in fields if name in NAMED or field.annotation in Section.__subclasses__()}


def _fields(location: tuple[Any, ...], content: dict[str, Any]) -> list[str]:
    section: Any = RunSpec
    if location[:1] == ("envs",):
        games = spec_flags.games_of(content)
        if len(location) == 1:
            return sorted(games)
        section, location = games[location[1]], location[2:]
    for part in location:
        if isinstance(part, str) and part in section.model_fields:
            annotation = section.model_fields[part].annotation
            arguments = [a for a in getattr(annotation, "__args__", ()) if isinstance(a, type)]
            section = (
                annotation
                if isinstance(annotation, type) and hasattr(annotation, "model_fields")
                else (arguments[0] if arguments else section)
            )
    return sorted(section.model_fields)
