"""Shared by all commands: one-line errors with suggestions, and exit code 2. Standard library only, so that
`--help` and a typo are answered before anything heavy is imported."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

BAD_INPUT = 2
"""Exit code of a command that was called wrongly, or refused."""

CLOSE = 0.7
"""Least similarity (difflib) of what was typed and a name that it may have meant."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, `NAME: what is wrong; did you mean ...?`, and exit code 2.

    `name` begins its error lines; `program` is what the user typed, for the usage line.
    """

    def __init__(
        self,
        name: str,
        program: str,
        description: str,
        examples: Sequence[tuple[str, str]] = (),
        *,
        add_help: bool = True,
    ) -> None:
        super().__init__(
            prog=program,
            # Above the options, of which there may be a hundred.
            description=f"{description}\n\n{example_lines(program, examples)}" if examples else description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=add_help,
        )
        self.name = name

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but an unknown flag is reported before anything else."""
        given = sys.argv[1:] if args is None else list(args)
        known = {flag for action in self._actions for flag in action.option_strings}
        for word in given:
            flag = word.partition("=")[0]
            if flag.startswith("--") and flag != "--" and flag not in known:
                self.error(f"unknown option {flag}{meant([f'--{name}' for name in alike(flag[2:], self.flags())])}")
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2 and one line; a choice that does not exist is answered with the closest."""
        choice = re.search(r"invalid choice: '?([^' ]+)'? \(choose from (.+)\)", message)
        close = alike(choice[1], re.findall(r"[\w.-]+", choice[2])) if choice else []
        if (pair := re.search(r"unrecognized arguments: ([\w.]+)=(\S+)", message)) and pair[1] in self.flags():
            close = [f"--{pair[1]} {pair[2]}"]
        fail(self.name, f"{message}{meant(close)} (see {self.prog} --help)")

    def flags(self) -> list[str]:
        """Every long flag, without its dashes."""
        return [flag[2:] for action in self._actions for flag in action.option_strings if flag.startswith("--")]


def example_lines(program: str, examples: Sequence[tuple[str, str]]) -> str:
    """The examples of a command for its `--help`: (arguments, what they do), in two columns."""
    calls = [f"{program} {arguments}".rstrip() for arguments, _ in examples]
    width = max(map(len, calls))
    shown = zip(calls, examples, strict=True)
    return "\n".join(["examples:", *(f"  {call:{width}}  {what}".rstrip() for call, (_, what) in shown)])


def fail(name: str, message: str) -> NoReturn:
    """One line on standard error, `NAME: message`, and exit code 2."""
    print(f"{name}: {message}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)


def alike(typed: str, names: Iterable[str]) -> list[str]:
    """The names that `typed` may have meant, best first; empty when none is close.

    Dotted names are compared by their last part. The one in the section that was typed wins; without one there, all
    that end alike are given: `learning_rate` may mean `learner.learning_rate` or `warm_up.learning_rate`.

    >>> alike("learning_rate", ["steps", "learner.learning_rate", "warm_up.learning_rate"])
    ['learner.learning_rate', 'warm_up.learning_rate']
    """
    section, _, last = typed.rpartition(".")
    split = [(name.rpartition(".")[0], name.rpartition(".")[2], name) for name in names]
    best = difflib.get_close_matches(last, {end for _, end, _ in split}, n=1, cutoff=CLOSE)
    ending = [(where, name) for where, end, name in split if end in best]
    return [name for where, name in ending if where == section] or [name for _, name in ending]


def meant(close: Sequence[str]) -> str:
    """`; did you mean A or B?`, or nothing."""
    return f"; did you mean {' or '.join(close)}?" if close else ""


def print_json(content: Any) -> None:
    """One JSON document on standard output, for scripts."""
    print(json.dumps(content, indent=2, default=str))
