"""`--help` of a command that reads a spec: a screenful, with the settings that decide most; `--help SECTION` explains
the settings of one section, `--help-all` all of them."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

from common.command_line import Parser, alike, fail, meant
from common.config import RunSpec

TEN = {
    "steps": "how long it trains",
    "learner.learning_rate": "higher learns faster, until it collapses",
    "sampling.group_size": "replies to each task",
    "learner.batch_groups": "tasks in a step; more are steadier",
    "sampling.max_tokens": "length of a reply at most",
    "buffer.max_lag": "steps between sampling and training; 0: none",
    "learner.kl_coef": "how strongly it is held near its beginning",
    "warm_up.steps": "supervised steps that teach the format",
    "evaluation.every": "steps between held-out scores; 0: none",
    "learner.lora_rank": "size of the adapter; 0 trains all weights",
}
"""The settings that decide most, as docs/settings.md explains them."""
WIDTH = 100  # columns at most


def add(parser: Parser) -> None:
    """Add `--help [SECTION]` and `--help-all`."""
    what = "this text, or the settings of a section"
    parser.add_argument("-h", "--help", action=_Help, nargs="?", const="", metavar="SECTION", help=what)
    parser.add_argument("--help-all", action=_HelpAll, nargs=0, help="every setting")


class _Help(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        print(section(parser, values) if values else screenful(parser))
        parser.exit()


class _HelpAll(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        parser.print_help()
        parser.exit()


def screenful(parser: Parser) -> str:
    """Usage, examples, the command's own options, ten settings, and where the others are."""
    formatter = _formatter(parser)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    formatter.add_text(parser.description)
    formatter.start_section("options")
    formatter.add_arguments([action for action in parser._actions if not _is_setting(action)])
    formatter.end_section()
    called = f"{parser.prog} --help"
    names = textwrap.wrap(", ".join(_top_sections(parser)), _columns() - 2)
    return "\n".join(
        (
            formatter.format_help(),
            "ten settings that decide most, with their defaults:",
            *_ten(),
            "",
            f"the others, a section at a time: {called} SECTION, which is one of",
            *(f"  {line}" for line in names),
            f"or all at once: {called}-all",
            "docs/settings.md says which setting to change for what you see.",
        )
    )


def _ten() -> Iterator[str]:
    rows = [(f"--{name}", f"{_default(name):g}", text) for name, text in TEN.items()]
    first, second = (max(len(row[k]) for row in rows) for k in (0, 1))
    return (f"  {flag:{first}}  {default:>{second}}  {text}" for flag, default, text in rows)


def _default(name: str) -> float:
    value: Any = RunSpec()
    for part in name.split("."):
        value = getattr(value, part)
    return float(value)


def section(parser: Parser, name: str) -> str:
    """The settings of a section and of those inside it. Exits with code 2 and one line when there is none."""
    groups = [group for group in parser._action_groups if _is_section(group)]
    found = [group for group in groups if _within(name, _name(group.title))]
    if not found:
        close = meant(alike(name, [_name(group.title) for group in groups]))
        fail(parser.name, f"--help {name}: no such section{close} (see {parser.prog} --help)")
    formatter = _formatter(parser)
    for group in found:
        formatter.start_section(group.title)
        formatter.add_text(group.description)
        formatter.add_arguments(group._group_actions)
        formatter.end_section()
    return formatter.format_help().rstrip()


def _within(name: str, group: str) -> bool:
    """Whether a group of flags is the section `name`, or inside it; `data` is `envs.verdict.data` too."""
    return f".{name}." in f".{group}."


def _top_sections(parser: Parser) -> list[str]:
    """The sections of the spec, each game as one."""
    names = [_name(group.title) for group in parser._action_groups if _is_section(group)]
    return [name for name in names if name != "envs" and name.count(".") == name.startswith("envs.")]


def _is_section(group: Any) -> bool:
    return any(_is_setting(action) for action in group._group_actions) and group.title != "options"


def _is_setting(action: argparse.Action) -> bool:
    """Whether a flag is a field of the spec; the command's own options have no such name."""
    return action.dest.split(".")[0] in RunSpec.model_fields


def _name(title: str | None) -> str:
    return (title or "").removesuffix(" options")


def _columns() -> int:
    return min(WIDTH, shutil.get_terminal_size().columns)


def _formatter(parser: Parser) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(parser.prog, max_help_position=24, width=_columns())
