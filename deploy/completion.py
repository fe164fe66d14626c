"""`medserl completion bash|zsh|fish`: a script that completes commands, flags, choices and the names of specs.

Made from the parsers, so it knows every field of the spec. Anything else is completed as a file.
"""

from __future__ import annotations

import functools
from argparse import Action, Namespace
from collections.abc import Iterator
from typing import NamedTuple

from common.spec_file import SPECS
from deploy import cli, commands
from deploy.command_options import SHELLS
from deploy.commands import COMMANDS
from deploy.program import SCRIPT


class Flag(NamedTuple):
    """A flag, its help text, and its choices (empty: any value, or no value)."""

    name: str
    help: str
    choices: tuple[str, ...]
    takes_value: bool


@functools.cache
def flags(name: str) -> tuple[Flag, ...]:
    """Every flag of a command, including the fields of the spec if the command reads one."""
    parser = commands.parser(name, SCRIPT)
    if COMMANDS[name].reads_spec:
        cli.fields_of(parser)
    return tuple(
        Flag(option, (action.help or "").partition("\n")[0], _choices_of(action), action.nargs != 0)
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    )


def _choices_of(action: Action) -> tuple[str, ...]:
    """The choices of a spec field, which are only in its metavar: `{cpu,cuda}`, or `bool`."""
    if action.choices or action.metavar == "bool":
        return tuple(map(str, action.choices or ("true", "false")))
    metavar = str(action.metavar)
    return tuple(metavar[1:-1].split(",")) if metavar.startswith("{") and metavar.endswith("}") else ()


def words(name: str) -> tuple[str, ...]:
    """Completions of a command's first positional argument."""
    if COMMANDS[name].reads_spec:
        return tuple(sorted(path.stem for path in SPECS.glob("*.yaml")))
    return {"runs": ("compare",), "data": ("check",), "completion": SHELLS}.get(name, ())


TOP = tuple(name for name in COMMANDS if " " not in name)


def bash() -> str:
    """For bash: `complete -o default` falls back to files."""
    return f"""_{SCRIPT}() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" command="${{COMP_WORDS[1]}}" known=""
  (( COMP_CWORD > 2 )) && [[ "$command ${{COMP_WORDS[2]}}" == "runs compare" ]] && command="runs compare"
{_lookup("COMP_CWORD == 1")}
  COMPREPLY=($(compgen -W "$known" -- "$cur"))
}}
complete -o default -F _{SCRIPT} {SCRIPT}
"""


def _lookup(first: str) -> str:
    """Set `known` from `command` and `previous`, in bash and zsh alike; `first` is true at the command itself."""
    return f"""  if (( {first} )); then
    known="{" ".join(TOP)} --help --version"
  else
    case "$command $previous" in
{chr(10).join(_choices())}
    *)
      case "$command" in
{chr(10).join(_known())}
      esac ;;
    esac
  fi"""


def _choices() -> Iterator[str]:
    for name in COMMANDS:
        for flag in flags(name):
            if flag.choices:
                yield f"""    "{name} {flag.name}") known="{" ".join(flag.choices)}" ;;"""


def _known() -> Iterator[str]:
    for name in COMMANDS:
        yield f"""      "{name}") known="{" ".join([*words(name), *(flag.name for flag in flags(name))])}" ;;"""


def zsh() -> str:
    """For zsh: sourced, or as `_medserl` in a folder of fpath."""
    return f"""#compdef {SCRIPT}
_{SCRIPT}() {{
  local command="${{words[2]}}" previous="${{words[CURRENT-1]}}" known=""
  (( CURRENT > 3 )) && [[ "$command ${{words[3]}}" == "runs compare" ]] && command="runs compare"
{_lookup("CURRENT == 2")}
  compadd -- ${{=known}}
  [[ "$PREFIX" == -* ]] || _files
}}
if [[ "$funcstack[1]" == "_{SCRIPT}" ]]; then _{SCRIPT} "$@"; else compdef _{SCRIPT} {SCRIPT}; fi
"""


def fish() -> str:
    """For fish, with the help texts."""
    return "\n".join([f"complete -c {SCRIPT} -s h -l help -d 'explain'", *_fish_commands(), *_fish_flags()]) + "\n"


def _fish_commands() -> Iterator[str]:
    for name in TOP:
        yield (f"complete -c {SCRIPT} -f -n __fish_use_subcommand -a {name} -d {_quoted(COMMANDS[name].summary)}")


def _fish_flags() -> Iterator[str]:
    for name in COMMANDS:
        seen = " ".join(f"; and __fish_seen_subcommand_from {word}" for word in name.split()).removeprefix("; and ")
        start = f"complete -c {SCRIPT} -n {_quoted(seen)}"
        if words(name):
            yield f"{start} -a {_quoted(' '.join(words(name)))}"
        for flag in flags(name):
            values = f" -x -a {_quoted(' '.join(flag.choices))}" if flag.choices else " -r" if flag.takes_value else ""
            yield f"{start} -l {flag.name.removeprefix('--')}{values} -d {_quoted(flag.help)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def run(args: Namespace) -> int:
    """Print the script."""
    print({"bash": bash, "zsh": zsh, "fish": fish}[args.shell](), end="")
    return 0
