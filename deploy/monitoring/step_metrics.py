"""The job's metrics: serving them, and updating them after each learner step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.refusals import TASKS
from common import metrics
from common.config import RunSpec
from common.metrics import Board
from common.sections import LOOPBACK
from envs.contract.reports import Reports, history, played, reports_of
from learner.learner import LearnerStep
from learner.scribe_learner import ScribePhase


def serve(board: Board, spec: RunSpec) -> None:
    """Serve the metrics as the spec says. Raises ValueError when the port is taken or the token file unreadable."""
    token = _token(spec.metrics.token_file)
    try:
        port = board.serve(spec.metrics.port, spec.metrics.host, token)
    except OSError as error:
        raise ValueError(
            f"metrics.port {spec.metrics.port} on {spec.metrics.host} cannot be used ({error.strerror}): "
            "choose another, or 0 for any free one"
        ) from error
    board.set(metrics.POLICY_LAG_BOUND, spec.buffer.max_lag)
    expect(board, reports_of(spec))
    print(f"metrics: http://{spec.metrics.host}:{port}/metrics")
    if spec.metrics.host not in LOOPBACK:
        print(f"metrics: reachable from other machines, with the token in {spec.metrics.token_file}")


def expect(board: Board, reports: Reports) -> None:
    """Create the games' series at zero, so that they exist from the first scrape."""
    for env_id, report in reports.items():
        board.expect(metrics.ENV_ALARM, env_id)
        for measure in report.measures:
            board.expect(metrics.ENV_MEASURE, env_id, measure.name)
        for reason in report.rejections:
            board.expect(metrics.REJECTED, reason)
            board.expect(metrics.REFUSED_IN_A_ROW, TASKS, reason)
        for kind in report.kinds:
            board.expect(metrics.TASKS, env_id, kind)
        for stage in report.stages:
            board.expect(metrics.PROPOSALS, env_id, *stage)


def _token(file: Path | None) -> str:
    if file is None:
        return ""
    token = file.read_text().strip() if file.is_file() else ""
    if not token:
        raise ValueError(f"metrics.token_file {file}: write a token of your choice into it")
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
