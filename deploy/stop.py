"""Stop a running job from another terminal: `python -m deploy.stop runs/laptop`.

The run finishes the step in hand, writes a checkpoint and ends, as after one Ctrl-C. Returns when it has ended.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from common.config import RunSpec
from common.files import json_lines
from deploy import cli
from deploy.job.run_folder import RunFolder, is_going_on

LOOK_SECONDS = 0.5


def stopped(run: Path, spec: RunSpec) -> str:
    """Where a run that is not going on stands, and how it goes on."""
    rows = json_lines(run / "metrics.jsonl")
    made = rows[-1]["step"] if rows else 0
    more = f" --steps {made + spec.steps}" if made >= spec.steps else ""
    return f"{run}: {made} of {spec.steps} steps are made; go on with: {cli.PROGRAM} {run / 'spec.yaml'} --resume{more}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and wait until the run has ended. 0, or 2 and one line when nothing runs there."""
    parser = argparse.ArgumentParser(prog="python -m deploy.stop", description="Stop a running job, with a checkpoint.")
    parser.add_argument("run", type=Path, help="the run's folder, for example runs/laptop")
    run: Path = parser.parse_args(arguments).run
    if not (run / "spec.yaml").is_file():
        print(f"stop: {run}: no run there (a folder with spec.yaml); runs are kept under runs/", file=sys.stderr)
        return cli.BAD_INPUT
    spec = cli.load(run / "spec.yaml")
    if not is_going_on(run):
        print(f"stop: nothing is running there; {stopped(run, spec)}", file=sys.stderr)
        return cli.BAD_INPUT
    try:
        RunFolder(spec, run).ask_to_stop()
    except OSError as error:
        print(
            f"stop: {run}: no word can be left there ({error.strerror}): run it as who started the run", file=sys.stderr
        )
        return cli.BAD_INPUT
    print(f"{run}: stopping after the step in hand (Ctrl-C here only ends the waiting)", flush=True)
    while is_going_on(run):
        time.sleep(LOOK_SECONDS)
    print(stopped(run, spec))
    return 0


if __name__ == "__main__":
    sys.exit(main())
