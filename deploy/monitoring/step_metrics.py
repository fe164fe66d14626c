"""The job's metrics: serving them, and updating them after each learner step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.refusals import TASKS
from common import metrics
from common.config import RunSpec
from common.errors import last_line
from common.files import read_text
from common.flags import path_of
from common.metrics import Board
from common.sections import LOOPBACK
from envs.contract.reports import Reports, history, played, reports_of
from evals.core.evaluator import EvalPoint
from learner.learner import LearnerStep
from learner.scribe_learner import ScribePhase

HELDOUT_FIGURES = ("value", "lower", "upper")
"""Of `common.statistics.Interval`."""
CHANCE = "chance"
FIGURES = (
    (metrics.LOSS, "loss"),
    (metrics.KL, "kl_to_reference"),
    (metrics.GRAD_NORM, "grad_norm"),
    (metrics.LEARNING_RATE, "learning_rate"),
    (metrics.REPLY_TOKENS, "reply_tokens"),
    (metrics.TRUNCATED, "truncated_share"),
    (metrics.ENTROPY, "entropy"),
)
"""Gauges that are a number of the step's line in metrics.jsonl; they stay as they were where it is null."""


def serve(board: Board, spec: RunSpec, run: str, job: str) -> int:
    """Serve the metrics of the run of that name as the spec says; returns the port. `job` is the id of this process.

    Raises ValueError when the port is taken or the token file unreadable.
    """
    token = token_of(spec.metrics.token_file)
    try:
        port = board.serve(spec.metrics.port, spec.metrics.host, token)
    except (OSError, UnicodeError) as error:  # the second for a name that can be no host's
        raise ValueError(
            f"metrics.port {spec.metrics.port} on {spec.metrics.host} cannot be used ({last_line(error)}): "
            "choose another, or 0 for any free one"
        ) from error
    board.set(metrics.RUN, 1, run, job)
    board.set(metrics.POLICY_LAG_BOUND, spec.buffer.max_lag)
    expect(board, reports_of(spec))
    host = f"[{spec.metrics.host}]" if ":" in spec.metrics.host else spec.metrics.host
    print(f"metrics: http://{host}:{port}/metrics")
    if spec.metrics.host not in LOOPBACK:
        print(f"metrics: reachable from other machines, with the token in {spec.metrics.token_file}")
    return port


def expect(board: Board, reports: Reports) -> None:
    """Create the games' series at zero, so that they exist from the first scrape."""
    for env_id, report in reports.items():
        board.expect(metrics.ENV_ALARM, env_id)
        for measure in report.measures:
            board.expect(metrics.ENV_MEASURE, env_id, measure.name)
        for figure in HELDOUT_FIGURES:
            board.expect(metrics.HELDOUT, env_id, figure)
        if report.heldout_chance is not None:
            board.set(metrics.HELDOUT, report.heldout_chance, env_id, CHANCE)
        for reason in report.rejections:
            board.expect(metrics.REJECTED, reason)
            board.expect(metrics.REFUSED_IN_A_ROW, TASKS, reason)
        for kind in report.kinds:
            board.expect(metrics.TASKS, env_id, kind)
        for stage in report.stages:
            board.expect(metrics.PROPOSALS, env_id, *stage)


def token_of(file: Path | None) -> str:
    """The token of `metrics.token_file`; none without a file. Raises ValueError for one that no header can hold."""
    if file is None:
        return ""
    try:
        token = read_text(path_of(file), "write a token of your choice into it").strip()
    except ValueError as error:
        raise ValueError(f"metrics.token_file {error}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"metrics.token_file {file}: write a token of your choice into it, of letters and digits")
    return token


def count(board: Board, step: LearnerStep, row: dict[str, Any]) -> None:
    """Update the job's metrics with one step."""
    report, sync = step.report, step.sync
    board.add(metrics.LEARNER_TOKENS.name, report.tokens)
    board.add(metrics.LEARNER_STEPS.name)
    board.add(metrics.SYNCS.name, 1, "ok" if sync.ok else "failed")
    board.add(metrics.SKIPPED.name, int(bool(report.skipped)), "doctor")
    board.set(metrics.UNIFORM, report.uniform_groups)
    board.set(metrics.REWARD, report.reward_mean)
    for metric, name in FIGURES:
        if row.get(name) is not None:
            board.set(metric, row[name])
    for name, value in report.reward_components.items():
        board.set(metrics.REWARD_BY_COMPONENT, value, name)
    for name, value in report.weights.items():
        board.set(metrics.WEIGHTS, value, name)
    for turn, statistics in report.by_turn.items():
        for name, value in statistics.items():
            board.set(metrics.BY_TURN, value, turn, name)
    board.set(metrics.POLICY_VERSION, report.policy_version)
    board.set(metrics.POLICY_LAG, report.policy_lag)
    board.set(metrics.SYNC_SECONDS, sync.seconds)
    board.set(metrics.SYNC_OK, float(sync.ok))
    board.set(metrics.CANARY, sync.canary_gap)
    if step.fresh_logp_difference is not None:
        board.set(metrics.FRESH, step.fresh_logp_difference)
    board.set(metrics.STEP_SECONDS, step.step_seconds)
    if step.scribe is not None:
        _count_scribe(board, step.scribe, row)


def count_heldout(board: Board, reports: Reports, point: EvalPoint) -> None:
    """Update the job's metrics with a point of the held-out curve; what could not be measured stays as it was.

    A value without an interval, as of one pair of twins, has bounds that are no number.
    """
    board.set(metrics.HELDOUT_VERSION, point.policy_version)
    for env_id, measures in point.measures.items():
        score = measures.get(reports[env_id].heldout_drawn)
        if score is None or score.value is None:
            continue
        for figure in HELDOUT_FIGURES:
            value = getattr(score, figure)
            board.set(metrics.HELDOUT, math.nan if value is None else value, env_id, figure)


def judge(board: Board, reports: Reports, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Update the games' measures with the newest step; returns the games' warnings."""
    warnings = []
    for env_id, report in reports.items():
        measures = history(env_id, report, rows)
        if not played(measures[-1]):
            continue
        measures = [one for one in measures if played(one)]
        for name, value in measures[-1].items():
            board.set(metrics.ENV_MEASURE, value or 0.0, env_id, name)
        board.set(metrics.ENV_ALARM, float(report.alarm(measures)), env_id)
        if warning := report.warning(measures):
            warnings.append(f"{env_id}: {warning}" if len(reports) > 1 else warning)
    return warnings


def _count_scribe(board: Board, phase: ScribePhase, row: dict[str, Any]) -> None:
    board.add(metrics.SCRIBE_STEPS.name, len(phase.reports))
    board.add(metrics.SKIPPED.name, sum(bool(report.skipped) for report in phase.reports), "scribe")
    board.add(metrics.SCRIBE_STARVED.name, int(phase.starved))
    board.set(metrics.SCRIBE_VERSION, phase.policy_version)
    if phase.reports:
        board.set(metrics.SCRIBE_REWARD, row["scribe_reward_mean"])
    for sync in phase.syncs:
        board.add(metrics.SYNCS.name, 1, "ok" if sync.ok else "failed")
