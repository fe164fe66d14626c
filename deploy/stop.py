"""Stop a running job from another terminal: `medserl stop runs/laptop`.

The run finishes its current step, writes a checkpoint and ends, as after one Ctrl-C. Returns when it has ended.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from common.command_line import BAD_INPUT, print_json
from common.config import RunSpec
from deploy import cli, commands, program
from deploy.job import run_state
from deploy.job.run_folder import RunFolder
from deploy.job.run_state import is_running

POLL_SECONDS = 0.5


def resume_command(run: Path, spec: RunSpec) -> str:
    """The command that continues a stopped run; a finished one needs more steps."""
    made = steps_made(run)
    more = ("--steps", made + spec.steps) if made >= spec.steps else ()
    return program.typed("selfplay", run / "spec.yaml", "--resume", *more)


def steps_made(run: Path) -> int:
    """The newest step that the run has logged."""
    return run_state.steps(run)[0]


def stopped(run: Path, spec: RunSpec) -> str:
    """How many steps a run that is not running has made, and how to continue it."""
    return f"{run}: {steps_made(run)} of {spec.steps} steps are done; continue with: {resume_command(run, spec)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m deploy.stop`."""
    return run(commands.parse("stop", "python -m deploy.stop", arguments))


def run(args: Namespace) -> int:
    """Ask the run to stop, and wait until it has. Returns 0, or 2 after one line when it is not running."""
    try:
        spec = cli.load_run(args.run)
        _ask(args.run, spec)
    except ValueError as error:
        print(f"stop: {error}", file=sys.stderr)
        return BAD_INPUT
    waiting = f"{args.run}: stopping after the current step (Ctrl-C only ends this command)"
    print(waiting, flush=True, file=sys.stderr if args.json else sys.stdout)
    while is_running(args.run):
        time.sleep(POLL_SECONDS)
    if args.json:
        done = steps_made(args.run)
        print_json({"run": args.run, "steps": done, "of": spec.steps, "resume": resume_command(args.run, spec)})
    else:
        print(stopped(args.run, spec))
    return 0


def _ask(folder: Path, spec: RunSpec) -> None:
    """Raises ValueError when the run is not running, or this user may not stop it."""
    if not is_running(folder):
        raise ValueError(f"the run is not running; {stopped(folder, spec)}")
    try:
        RunFolder(spec, folder).ask_to_stop()
    except OSError as error:
        raise ValueError(
            f"{folder}: cannot write the stop file ({error.strerror}): run as the user who started the job"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
