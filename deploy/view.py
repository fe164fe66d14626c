"""`medserl view RUN`: the picture and the page of a run, at any time: while it runs, and after it was killed too. With
`--live` it serves both, on a page that follows the run (deploy/live.py)."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from yaml import YAMLError

from common.command_line import BAD_INPUT
from common.errors import os_refusal
from deploy import cli, live
from deploy.job.run_state import damaged, state_of, steps
from envs.contract.reports import reports_of


def run(args: Namespace) -> int:
    """Draw and write both; print where they are. Returns 0, or 2 after one line on standard error."""
    try:
        if args.live:
            live.serve(args.run, args.port or 0)
            return 0
        if args.port is not None:
            raise ValueError(f"--port {args.port} goes with --live: add --live, or leave it out")
        for path in view(args.run):
            print(path)
        for line in damaged(args.run):
            print(f"view: {line}", file=sys.stderr)
    except (ValueError, YAMLError, OSError) as error:
        said = os_refusal(error) if isinstance(error, OSError) else " ".join(str(error).split())
        print(f"view: {said}", file=sys.stderr)
        return BAD_INPUT
    return 0


def view(folder: Path) -> tuple[Path, Path]:
    """The run's picture and page, of the steps that it has now. Raises ValueError when none of them can be read."""
    spec = cli.load_run(folder)
    reports = reports_of(spec)
    # They bring matplotlib, for which a mistyped folder should not wait.
    from deploy.report import episodes_page, plot, rollout_tables

    if not rollout_tables.step_files(folder):
        if logged := steps(folder)[0]:
            raise ValueError(f"{folder}: {logged} steps are logged, but their rollouts/step-*.parquet are gone")
        raise ValueError(f"{folder}: no step yet ({state_of(folder)}); look again after the first one")
    return plot.draw(folder, reports), episodes_page.write_page(folder, reports, spec.learner)
