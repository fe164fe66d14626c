"""`medserl apply SPEC`: apply an edited spec to the running job that was started from it. Scribes, Doctors and
engines can be added and removed while the run continues; every other change is refused, with what to do instead."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from common.command_line import BAD_INPUT, print_json
from common.config import RunSpec
from common.errors import os_refusal
from common.files import write_whole
from common.paths import path_of
from deploy import cli, commands, program
from deploy.job.resize import Answer, Edit, ResizeRequest, edits, refusal, sizes
from deploy.job.run_folder import RunFolder
from deploy.job.run_state import is_running

POLL_SECONDS = 0.2
PROGRESS_SECONDS = 10.0  # between two progress lines


def running(command: cli.Command) -> RunFolder:
    """The one running run of the spec's name: NAME, or NAME-2 and so on unless the name is given as a flag.

    Raises ValueError when there is none, or more than one.
    """
    spec, runs, here = command.spec, path_of(command.spec.runs).resolve(), command.path.resolve().parent
    if command.is_record and is_running(here):
        return RunFolder(spec, here)
    sought = re.escape(spec.name) + ("" if "name" in command.flags or command.is_record else r"(-\d+)?")
    found = [path for path in sorted(runs.glob("*")) if re.fullmatch(sought, path.name) and _is_running_for_us(path)]
    if not found:
        raise ValueError(
            f"run {spec.name} is not running (no process has {runs / spec.name} locked): start it with "
            f"{program.typed('selfplay', command.path)}, or say where it is with --runs and --name"
        )
    if len(found) > 1:
        names = [path.name for path in found]
        raise ValueError(f"{' and '.join(names)} are running: say which with --name {names[0]}")
    return RunFolder(spec, found[0])


def _is_running_for_us(run: Path) -> bool:
    try:
        return is_running(run)
    except ValueError:  # another user's, which this user may not change either
        return False


def wanted(command: cli.Command, folder: RunFolder) -> tuple[list[Edit], RunSpec]:
    """The requested changes, and the spec in effect. Raises ValueError when the run has not written it."""
    applied = folder.applied()
    if applied is None:
        raise ValueError(f"{folder.path} has no applied.json: that run was started by an older version; restart it")
    effect, file = applied
    return edits(command.spec, command.flags, file, effect), effect


def send(folder: RunFolder, made: Sequence[Edit], file: RunSpec) -> Answer:
    """Ask the driver, and wait for its answer. Raises ValueError when the run ends first, or another apply waits."""
    if folder.change.exists():
        raise ValueError(f"{folder.change} exists: another apply is waiting for the run")
    asked = ResizeRequest(
        id=uuid.uuid4().hex, sizes={edit.field: edit.after for edit in made}, file=file.model_dump(mode="json")
    )
    write_whole(folder.change, msgspec.json.encode(asked))
    try:
        return _answer(folder, asked.id)
    finally:
        folder.change.unlink(missing_ok=True)  # after Ctrl-C, or when the run has ended


def _answer(folder: RunFolder, asked: str) -> Answer:
    reported = started = time.monotonic()
    while True:
        alive = is_running(folder.path)
        if folder.answer.is_file():
            answer = msgspec.json.decode(folder.answer.read_bytes(), type=Answer)
            if answer.id == asked:
                folder.answer.unlink()
                return answer
        if not alive:
            raise ValueError(f"{folder.path} ended before it applied the change: nothing was changed")
        if time.monotonic() - reported > PROGRESS_SECONDS:
            reported = time.monotonic()
            waited = f"{reported - started:.0f} s"
            print(f"waiting for the run, which applies changes once it trains ({waited})", file=sys.stderr, flush=True)
        time.sleep(POLL_SECONDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m deploy.apply`."""
    return run(commands.parse("apply", "python -m deploy.apply", arguments))


def run(command: cli.Command) -> int:
    """Apply. 0 done, or nothing to do; 2 refused, with a line per reason."""
    try:
        folder = running(command)
        found, effect = wanted(command, folder)
        if refused := [refusal(edit) for edit in found if edit.field not in sizes(effect)]:
            return _refuse(*refused, *(["nothing was changed"] if len(refused) < len(found) else []))
        if found and not command.dry_run and (answer := send(folder, found, command.file)).refused:
            return _refuse(f"the run refused: {answer.refused}")
    except ValueError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(os_refusal(error))
    except KeyboardInterrupt:
        return _refuse("no longer waiting: the run has not answered")
    _report(command, folder, found, effect)
    return 0


def _report(command: cli.Command, folder: RunFolder, made: Sequence[Edit], effect: RunSpec) -> None:
    name = folder.path.name
    if command.json:
        changes = [{"field": edit.field, "from": edit.before, "to": edit.after} for edit in made]
        print_json({"run": name, "dry_run": command.dry_run, "changes": changes})
    elif not made:
        now = ", ".join(f"{field} is {count}" for field, count in sizes(effect).items())
        print(f"run {name}: nothing to change; {now}")
    else:
        for edit in made:
            print(f"run {name}: {edit}{' (dry run)' if command.dry_run else ''}")
        print(f"watch it with: {program.typed('status', folder.path, '--watch')}")


def _refuse(*lines: str) -> int:
    print("\n".join(f"apply: {line}" for line in lines), file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
