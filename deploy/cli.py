"""The command line: spec file < environment variables < flags, checked, with one clear line for each mistake."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_settings import CliSettingsSource, SettingsError

from common.config import RunSpec
from common.records import Record
from common.spec_file import spec_file
from deploy import spec_flags
from deploy.spec_flags import PREFIX

PROGRAM = "python -m deploy.selfplay"
BAD_INPUT = 2  # exit code
ACTOR_LOGS = "MEDSERL_ACTOR_LOGS"
"""Set to 1 to see what the actors print. The one variable that is no field of the spec."""

EXAMPLES = """examples:
  python -m deploy.selfplay deploy/laptop.yaml                        the CPU default on the bundled notes
  python -m deploy.selfplay deploy/laptop.yaml --data notes.csv --steps 4
  python -m deploy.selfplay deploy/laptop.yaml --dry-run              print the resolved plan, start nothing
  python -m deploy.selfplay runs/laptop/spec.yaml --resume            go on from the last checkpoint
  MEDSERL_LEARNER__LEARNING_RATE=3e-5 python -m deploy.selfplay deploy/laptop.yaml

Every field of the spec is a flag (--section.field) and an environment variable (MEDSERL_SECTION__FIELD)."""


class Usage(Record):
    """A command that reads a spec: its name, what `--help` says, and its switches (flag without value -> help)."""

    program: str
    description: str
    examples: str
    switches: dict[str, str]


SELFPLAY = Usage(
    program=PROGRAM,
    description="Run asynchronous self-play as a spec describes it.",
    examples=EXAMPLES,
    switches={
        "dry-run": "print the resolved plan and exit",
        "resume": "go on from the run's last checkpoint",
        "skip-bad-rows": "leave out notes that cannot be read, and count them",
    },
)


class Command(Record):
    """What the user asked for. `file` is the spec without flags and variables; `flags` names the fields among them."""

    spec: RunSpec
    path: Path
    file: RunSpec
    flags: frozenset[str]
    dry_run: bool
    resume: bool

    @property
    def is_record(self) -> bool:
        """Whether the file is the run's own spec.yaml."""
        return self.path.resolve() == (self.spec.runs.expanduser() / self.spec.name / "spec.yaml").resolve()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"unrecognized arguments: (--[\w.-]+)", message)
        flags = [flag for action in self._actions for flag in action.option_strings]
        close = difflib.get_close_matches(unknown[1], flags, n=1) if unknown else []
        fail(f"{message}{f'; did you mean {close[0]}?' if close else ''} (see {self.prog} --help)")


def fail(message: str) -> NoReturn:
    """One line on standard error, exit code 2."""
    print(f"selfplay: {message}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)


def parse(arguments: list[str], usage: Usage = SELFPLAY) -> Command:
    """Read the command line. Exits with code 2 and one line when something is wrong with it."""
    parser = _Parser(
        prog=usage.program,
        description=usage.description,
        epilog=usage.examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--data", metavar="FILE", help="the notes: data.path of the run's only game that has one")
    parser.add_argument("spec", type=Path, help="the run's YAML file, or the name of one in deploy/specs: laptop")
    for switch, text in usage.switches.items():
        parser.add_argument(f"--{switch}", action="store_true", help=text)
    settings = spec_flags.settings_with(spec_flags.games_among(arguments))
    flags: CliSettingsSource[Any] = CliSettingsSource(
        settings, root_parser=parser, cli_hide_none_type=True, cli_avoid_json=False
    )
    parsed = parser.parse_args(arguments)
    given = frozenset(vars(parsed))
    path = _existing(parsed.spec)
    file = load(path)  # mistakes in the file are told as the file's
    try:
        spec = _resolve(spec_flags.with_games(_read(path), parsed), flags(parsed_args=parsed))
    except SettingsError as error:
        fail(f"flags and environment: {error}: {error.__cause__}")
    except ValueError as error:
        fail(str(error))
    return Command(
        spec=spec,
        path=path,
        file=file,
        flags=frozenset(name for name in given | vars(parsed).keys() if name.split(".")[0] in RunSpec.model_fields),
        dry_run=getattr(parsed, "dry_run", False),
        resume=getattr(parsed, "resume", False),
    )


def load(path: Path) -> RunSpec:
    """The spec of a file alone. Exits like `parse`."""
    path = _existing(path)
    return _validated(f"{path}: ", RunSpec, _read(path))


def _resolve(content: dict[str, Any], flags: CliSettingsSource[Any]) -> RunSpec:
    _check_variables()
    settings = spec_flags.settings_with(spec_flags.games_of(content))
    found = _validated("flags and environment: ", settings, content, _cli_settings_source=flags)
    sections = {name: getattr(found, name) for name in RunSpec.model_fields}
    return RunSpec(**{**sections, "envs": [env.model_dump() for env in found.envs]})


def _check_variables() -> None:
    spec_flags.refuse_old_variables()
    fields = {f"{PREFIX}{field.upper()}" for field in RunSpec.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name != ACTOR_LOGS and name.upper().split("__")[0] not in fields:
            close = difflib.get_close_matches(name, fields, n=1)
            fail(f"environment: {name}: unknown field" + (f"; did you mean {close[0]}?" if close else ""))


def _existing(given: Path) -> Path:
    try:
        return spec_file(given)
    except ValueError as error:
        fail(str(error))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fail(f"{path}: not YAML: {' '.join(str(error).split())}")
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        fail(f"{path}: holds no settings; write `name: my-run` and what differs from the defaults")
    return content


def _validated(source: str, model: type[Any], content: dict[str, Any], **extra: Any) -> Any:
    try:
        return model(**content, **extra)
    except ValidationError as error:
        fail("; ".join(f"{source}{_line(problem, content)}" for problem in error.errors()[:3]))


def _line(problem: Any, content: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _fields(problem["loc"][:-1], content)
        close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        return f"{where}: unknown field; " + (f"did you mean {close[0]}?" if close else f"write {', '.join(known)}")
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if isinstance(problem["input"], (dict, BaseModel)) else f", not {problem['input']!r}"
    return f"{where}: {message}{given}" if where else message


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
