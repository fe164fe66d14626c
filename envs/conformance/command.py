"""The command: `check` with the game's own checker and limits, its release tasks, its rate, and other processes."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence

import msgspec

from common.command_line import BAD_INPUT, Parser
from common.flags import flag_count
from common.sections import EnvSettings
from envs.conformance.check import COUNT, check
from envs.conformance.fingerprint import elsewhere, fingerprint
from envs.conformance.released import problems_of, released
from envs.conformance.report import Report, table
from envs.contract import registry
from envs.contract.spec import named

NAME = "check-env"
DESCRIPTION = """Check that environments keep the contract: generator, independent checker, reward and leaks.

Exit codes: 0 all keep it, 1 one does not, 2 a wrong call."""
EXAMPLES = (
    ("", "all of this project's, on bundled notes"),
    ("verdict --settings '{data: {path: notes.csv}}'", "on your notes"),
    ("my_pkg.my_mod:MyEnv --count 200", "your own class"),
)
HASH_SEEDS = (1, 2)


def whole_report(settings: EnvSettings, count: int, part: str = "") -> Report:
    """Everything that is checked of a part of a game."""
    env, checker = registry.make(settings, seed=0), registry.checker(settings)
    report = asyncio.run(check(env, count, checker=checker, limits=type(settings)))
    report = msgspec.structs.replace(report, part=part, released=released(env, checker))
    problems = (*report.problems, *_further(settings, report), *_elsewhere(settings, count))
    return msgspec.structs.replace(report, problems=problems)


def _further(settings: EnvSettings, report: Report) -> Iterator[str]:
    if report.made_per_s is not None and report.made_per_s < settings.rate_floor:
        yield f"propose: {report.made_per_s:.0f} tasks a second of processor time, below {settings.rate_floor:.0f}"
    if report.released is not None:
        yield from problems_of(report.released, report.oracle, settings.ceiling)


def _elsewhere(settings: EnvSettings, count: int) -> Iterator[str]:
    here = asyncio.run(fingerprint(registry.make(settings, seed=0), count))
    for hash_seed in HASH_SEEDS:
        if elsewhere(settings, count, hash_seed) != here:
            yield f"propose: a process with PYTHONHASHSEED={hash_seed} makes other tasks"


def parser(program: str) -> Parser:
    """The command's arguments; `program` is its name in the usage line."""
    made = Parser(NAME, program, DESCRIPTION, EXAMPLES)
    known = ", ".join(registry.GAMES)
    made.add_argument("envs", nargs="*", metavar="ENV", help=f"package.module:Class, or an id ({known}: the default)")
    made.add_argument("--settings", default="{}", help="the settings of one ENV, as YAML: '{data: {path: a.csv}}'")
    made.add_argument("--count", type=flag_count, default=COUNT, help="slots of the plan to try, a part of a game")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m envs.conformance.command`."""
    return run(parser("python -m envs.conformance.command").parse_args(arguments))


def run(args: Namespace) -> int:
    """Check environments by id, all by default; 0 when each keeps the contract, 1 when not, 2 for a wrong call."""
    reports = list[Report]()
    try:
        for settings in named(args.envs, args.settings):
            for part, one in settings.parts.items():
                reports.append(whole_report(one, args.count, part))
                print(reports[-1], flush=True)
    except ValueError as wrong:
        print(f"{NAME}: {wrong}", file=sys.stderr)
        return BAD_INPUT
    if len(reports) > 1:
        print(f"\n{table(reports)}")
    return 0 if all(report.ok for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
