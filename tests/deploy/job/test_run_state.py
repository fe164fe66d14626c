from __future__ import annotations

from pathlib import Path

import pytest

from deploy.job import run_state
from deploy.job.run_folder import RunFolder
from deploy.job.run_state import RunState, state_of
from tests.deploy.job.test_run_folder import made


@pytest.fixture
def ended(tmp_path: Path) -> RunFolder:
    """A run whose process ended after two of its steps, without a word."""
    folder = made(tmp_path, 2)
    assert state_of(folder.path) is RunState.RUNNING
    folder._lock.close()
    return folder


def test_a_run_that_left_no_word_and_no_checkpoint_failed(ended: RunFolder) -> None:
    assert run_state.steps(ended.path) == (2, ended.spec.steps)
    assert state_of(ended.path) is RunState.FAILED and run_state.outcome(ended.path) is None


def test_a_checkpoint_of_the_newest_step_means_stopped(ended: RunFolder) -> None:
    (ended.path / "checkpoints" / "step-00001").mkdir(parents=True)
    assert state_of(ended.path) is RunState.FAILED
    (ended.path / "checkpoints" / "step-00002").mkdir()
    assert state_of(ended.path) is RunState.STOPPED


def test_a_model_means_finished_unless_more_steps_were_asked_for(tmp_path: Path) -> None:
    folder = made(tmp_path, 8)
    folder._lock.close()
    (folder.path / "model").mkdir()
    (folder.path / "model" / "config.json").write_text("{}")
    assert state_of(folder.path) is RunState.FINISHED
    folder.record(folder.spec.model_copy(update={"steps": 9}), folder.file)
    assert state_of(folder.path) is RunState.FAILED


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.STOPPED, RunState.FAILED])
def test_the_word_that_a_process_left_counts_until_the_next_one_goes_on_from_a_checkpoint(
    ended: RunFolder, state: RunState
) -> None:
    run_state.record(ended.path, state, "the disk is full")
    found = run_state.outcome(ended.path)
    assert found is not None and (found.state, found.error) == (state, "the disk is full")
    assert state_of(ended.path) is state
    again = RunFolder(ended.spec, ended.path)
    again.lock()
    assert state_of(ended.path) is RunState.RUNNING and run_state.outcome(ended.path) == found
    again.resume(2)
    assert state_of(ended.path) is RunState.RUNNING and run_state.outcome(ended.path) is None
