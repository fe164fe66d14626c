"""`python -m deploy.apply SPEC`: bring an edited spec to the running job that was started from it. Scribes, Doctors and
engines grow and shrink while the run goes on; every other difference is refused, with what to do instead."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import Sequence

import msgspec

from common.config import RunSpec
from common.files import write_whole
from deploy import cli
from deploy.job.resize import Answer, Asked, Edit, edits, refusal, sizes
from deploy.job.run_folder import RunFolder, is_going_on

LOOK_SECONDS = 0.2
TOLD_SECONDS = 10.0  # between two lines while it waits

USAGE = cli.Usage(
    program="python -m deploy.apply",
    description="""Change the numbers of actors of a running job, without stopping it.

Edit the spec that the job was started from, then apply it. While the run goes on, these can change:
  rollout.scribes, rollout.doctors     new ones start at once; those too many finish what they hold
  engines of each of the pools         a new one loads, proves the policy, then serves; one too many ends its sequences
Anything else is refused, with what to do instead. What flags or variables set at the start stays as it is, unless you
edit it in the file or give it as a flag here. The run's spec.yaml follows, so that --resume goes on with the new
numbers, and changes.jsonl in the run's folder keeps what changed, when, and at which policy_version.""",
    examples="""examples:
  python -m deploy.apply deploy/node8.yaml                        what you edited in it
  python -m deploy.apply deploy/laptop.yaml --rollout.doctors 3   the same without an edit
  python -m deploy.apply deploy/laptop.yaml --name laptop-2       of several runs of one spec, that one
  python -m deploy.apply deploy/laptop.yaml --dry-run             what would change
  python -m deploy.status runs/laptop --watch                     then: actors wanted and serving""",
    switches={"dry-run": "print what would change and exit"},
)


def running(command: cli.Command) -> RunFolder:
    """The one run of the spec's name that is going on: NAME, or NAME-2 and so on unless the name is given as a flag.

    Raises ValueError when there is none, or more than one.
    """
    spec, runs = command.spec, command.spec.runs.expanduser().resolve()
    sought = re.escape(spec.name) + ("" if "name" in command.flags or command.is_record else r"(-\d+)?")
    found = [path for path in sorted(runs.glob("*")) if re.fullmatch(sought, path.name) and is_going_on(path)]
    if not found:
        raise ValueError(
            f"run {spec.name} is not running (no process keeps {runs / spec.name}): start it with "
            f"{cli.PROGRAM} {command.path}, or say where it is with --runs and --name"
        )
    if len(found) > 1:
        names = [path.name for path in found]
        raise ValueError(f"{' and '.join(names)} are running: say which with --name {names[0]}")
    return RunFolder(spec, found[0])


def wanted(command: cli.Command, folder: RunFolder) -> tuple[list[Edit], RunSpec]:
    """What is to change, and the spec in effect. Raises ValueError when the run has not written it."""
    applied = folder.applied()
    if applied is None:
        raise ValueError(f"{folder.path} has no applied.json: that run was started by an older version; restart it")
    effect, file = applied
    return edits(command.spec, command.flags, file, effect), effect


def send(folder: RunFolder, made: Sequence[Edit], file: RunSpec) -> Answer:
    """Ask the driver, and wait for its answer. Raises ValueError when the run ends first, or is asked by another."""
    if folder.change.exists():
        raise ValueError(f"{folder.change} waits already: another deploy.apply is under way")
    asked = Asked(
        id=uuid.uuid4().hex, sizes={edit.field: edit.after for edit in made}, file=file.model_dump(mode="json")
    )
    write_whole(folder.change, msgspec.json.encode(asked))
    try:
        return _answer(folder, asked.id)
    finally:
        folder.change.unlink(missing_ok=True)  # after Ctrl-C, or when nobody is left to take it


def _answer(folder: RunFolder, asked: str) -> Answer:
    told = started = time.monotonic()
    while True:
        alive = is_going_on(folder.path)
        if folder.answer.is_file():
            answer = msgspec.json.decode(folder.answer.read_bytes(), type=Answer)
            if answer.id == asked:
                folder.answer.unlink()
                return answer
        if not alive:
            raise ValueError(f"{folder.path} ended before it took the change up: nothing was changed")
        if time.monotonic() - told > TOLD_SECONDS:
            told = time.monotonic()
            print(f"waiting for the run, which looks once it trains ({told - started:.0f} s)", flush=True)
        time.sleep(LOOK_SECONDS)


def main(arguments: list[str] | None = None) -> int:
    """Apply. 0 done, or nothing to do; 2 refused, with a line for each reason."""
    command = cli.parse(sys.argv[1:] if arguments is None else arguments, USAGE)
    try:
        folder = running(command)
        found, effect = wanted(command, folder)
        if refused := [refusal(edit) for edit in found if edit.field not in sizes(effect)]:
            return _refuse(*refused, *(["nothing was changed"] if len(refused) < len(found) else []))
        if not found:
            print(f"run {folder.path.name}: nothing to change; {_told(effect)}")
            return 0
        if not command.dry_run and (answer := send(folder, found, command.file)).refused:
            return _refuse(f"the run refused: {answer.refused}")
    except ValueError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return _refuse("no longer waiting: the run has not answered")
    for edit in found:
        print(f"run {folder.path.name}: {edit}{' (dry run)' if command.dry_run else ''}")
    print(f"look: python -m deploy.status {folder.path}")
    return 0


def _told(spec: RunSpec) -> str:
    return ", ".join(f"{field} is {count}" for field, count in sizes(spec).items())


def _refuse(*lines: str) -> int:
    print("\n".join(f"apply: {line}" for line in lines), file=sys.stderr)
    return cli.BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
