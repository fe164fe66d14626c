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
from deploy.job.run_state import state_of
from deploy.report.steps import read_steps
from envs.contract.reports import reports_of
from evals.core import curve


def run(args: Namespace) -> int:
    """Draw and write both; print where they are. Returns 0, or 2 after one line on standard error."""
    try:
        if args.live:
            live.serve(args.run, args.port)
            return 0
        for path in view(args.run):
            print(path)
        for line in (*read_steps(args.run).damaged, *curve.points(args.run / "evaluations.jsonl").damaged):
            print(f"view: {line}", file=sys.stderr)
    except (ValueError, YAMLError, OSError) as error:
        said = os_refusal(error) if isinstance(error, OSError) else " ".join(str(error).split())
        print(f"view: {said}", file=sys.stderr)
        return BAD_INPUT
    return 0


def view(folder: Path) -> tuple[Path, Path]:
    """The run's picture and page, made of the steps that it has now. Raises ValueError when it has none."""
    spec = cli.load_run(folder)
    reports = reports_of(spec)
    if not any((folder / "rollouts").glob("step-*.parquet")):
        raise ValueError(f"{folder}: no step yet ({state_of(folder)}); look again after the first one")
    # They bring matplotlib, for which a mistyped folder should not wait.
    from deploy.report import episodes_page, plot

    return plot.draw(folder, reports), episodes_page.write_page(folder, reports, spec.learner)
