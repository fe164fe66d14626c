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
from pydantic import BaseModel, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from common.config import RunSpec
from common.records import Record
from common.spec_file import spec_file

PROGRAM = "python -m deploy.selfplay"
BAD_INPUT = 2  # exit code
PREFIX = "MEDSERL_"
ACTOR_LOGS = "MEDSERL_ACTOR_LOGS"
"""Set to 1 to see what the actors print. The one variable that is no field of the spec."""

EXAMPLES = """examples:
  python -m deploy.selfplay deploy/laptop.yaml                        the CPU default on the bundled notes
  python -m deploy.selfplay deploy/laptop.yaml --data.path notes.csv --steps 4
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
        "skip-bad-rows": "the same as --data.skip_bad_rows true",
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


class _Settings(BaseSettings, RunSpec):
    model_config = SettingsConfigDict(
        extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", use_attribute_docstrings=True
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The spec file comes in as init arguments and is the weakest; flags are put in front by pydantic-settings.
        return sources["env_settings"], init_settings

    @model_validator(mode="before")
    @classmethod
    def _nulls(cls, content: Any) -> Any:
        """The flag `null` of a field that holds a pair arrives as a list of nothing."""
        if isinstance(content, dict):
            return {name: cls._nulls(value) for name, value in content.items()}
        return None if content == [None] else content


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
    parser.add_argument("spec", type=Path, help="the run's YAML file, or the name of one in deploy/specs: laptop")
    for switch, text in usage.switches.items():
        parser.add_argument(f"--{switch}", action="store_true", help=text)
    flags: CliSettingsSource[Any] = CliSettingsSource(
        _Settings, root_parser=parser, cli_hide_none_type=True, cli_avoid_json=False
    )
    parsed = parser.parse_args(arguments)
    given = vars(parsed)
    path = _existing(parsed.spec)
    file = load(path)  # mistakes in the file are told as the file's
    try:
        spec = _resolve(path, flags(parsed_args=parsed))
    except SettingsError as error:
        fail(f"flags and environment: {error}: {error.__cause__}")
    if given.get("skip_bad_rows"):
        spec = spec.model_copy(update={"data": spec.data.model_copy(update={"skip_bad_rows": True})})
    return Command(
        spec=spec,
        path=path,
        file=file,
        flags=frozenset(name for name in given if name.split(".")[0] in RunSpec.model_fields),
        dry_run=given.get("dry_run", False),
        resume=given.get("resume", False),
    )


def load(path: Path) -> RunSpec:
    """The spec of a file alone. Exits like `parse`."""
    path = _existing(path)
    return _validated(f"{path}: ", RunSpec, _read(path))


def _resolve(path: Path, flags: CliSettingsSource[Any]) -> RunSpec:
    _check_variables()
    settings = _validated("flags and environment: ", _Settings, _read(path), _cli_settings_source=flags)
    return RunSpec(**settings.model_dump())


def _check_variables() -> None:
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
        fail("; ".join(f"{source}{_line(problem)}" for problem in error.errors()[:3]))


def _line(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _fields(problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        return f"{where}: unknown field; " + (f"did you mean {close[0]}?" if close else f"write {', '.join(known)}")
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if isinstance(problem["input"], (dict, BaseModel)) else f", not {problem['input']!r}"
    return f"{where}: {message}{given}" if where else message


def _fields(location: tuple[Any, ...]) -> list[str]:
    section: Any = RunSpec
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
