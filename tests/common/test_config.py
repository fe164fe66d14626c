from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from common.config import MetricsSpec, PoolSpec, RunSpec
from common.sections import SCRIBE_TEMPERATURE
from envs.verdict.spec import VerdictSettings

SPECS = sorted((Path(__file__).parents[2] / "deploy" / "specs").glob("*.yaml"))


FROZEN = {"name": "frozen", "serves": ["verifier"]}
TIER_C = {"verdict": {"data": {"tier_c": True}}}
TRAINED: dict[str, Any] = {
    "scribe": {"train": True},
    "envs": TIER_C,
    "pools": [{"name": "scribes", "serves": ["scribe"]}, {"name": "doctors", "serves": ["doctor"]}, FROZEN],
}


def refused(**content: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        RunSpec.model_validate(content)
    (error,) = caught.value.errors()
    return str(error["msg"])


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_every_spec_in_deploy_that_is_a_run_is_valid(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    if "name" not in content or "services" in content:
        pytest.skip("not a run")
    assert RunSpec.model_validate(content).name == path.stem


def test_a_spec_survives_its_own_yaml() -> None:
    spec = RunSpec()
    assert RunSpec.model_validate(yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json")))) == spec


def test_a_spec_never_changes_after_loading() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunSpec().steps = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"pools": [{"serves": ["scribe"]}]}, "exactly one pool must serve the doctor, found none"),
        ({"pools": [{}, {"name": "b"}]}, "exactly one pool must serve the scribe, found ['engines', 'b']"),
        ({"pools": [{"serves": ["scribe"]}, {"serves": ["doctor"]}]}, "two pools have the same name"),
        ({"sampling": {"group_size": 1}}, "use 2 or more, or learner.algorithm: reinforce_pp"),
        (
            {"weights": {"transport": "adapter"}, "learner": {"lora_rank": 0}},
            "needs learner.lora_rank above 0: use shm or broadcast",
        ),
        ({"weights": {"backend": "nccl"}}, "weights.backend is no field any more: write weights.transport: broadcast"),
        ({"weights": {"backend": "ipc"}}, "weights.backend is no field any more: write weights.transport: shm"),
        ({"weights": {"backend": None}}, "weights.backend is no field any more: write weights.transport: null"),
        ({"weights": {"transport": "full"}}, "full is no transport any more: write shm, broadcast or null"),
        ({"weights": {"transport": "nccl"}}, "nccl is no transport any more: write broadcast"),
        *(
            (
                {"weights": {"transport": "adapter"}, "learner": {"lora_rank": rank}},
                f"learner.lora_rank {rank}: vLLM serves adapters of rank 1, 8, 16, 32, 64, 128, 256, 320, 512 only",
            )
            for rank in (4, 24, 48)
        ),
        ({"learner": {"zero_stage": 0, "offload_optimizer": True}}, "offload_optimizer needs zero_stage 1, 2 or 3"),
        ({"buffer": {"capacity": 3}}, "buffer.capacity >= learner.batch_groups must hold, but 3 < 4"),
        ({"sampling": {"max_tokens": 1024}}, "leaves no room for the prompt in model.context 1024"),
        ({"filters": {"min_tokens": 97}}, "filters.min_tokens 97 > sampling.max_tokens 96 rejects every group"),
        ({"filters": {"difficulty": [0.8, 0.2]}}, "difficulty [0.8, 0.2] keeps no group"),
        ({"filters": {"difficulty": [20, 80]}}, "write [low, high] within 0 and 1"),
        ({"learner": {"batch_groups": 5, "ranks": 2}}, "batch_groups 5 must be a multiple of ranks 2"),
        ({"learner": {"importance_clip": [5, 0.5]}}, "importance_clip must be [low, high]"),
        ({"envs": TIER_C}, "verdict needs 1 pool with serves: [verifier], found none"),
        ({"pools": [{}, FROZEN]}, "no game of this run asks a verifier, but ['frozen'] serve it: leave them out"),
        (
            {"envs": TIER_C, "pools": [{}, FROZEN, {**FROZEN, "name": "b"}]},
            "needs 1 pool with serves: [verifier], found ['frozen', 'b']",
        ),
        (
            {"envs": TIER_C, "pools": [{"serves": ["scribe", "doctor", "verifier"]}]},
            "engines serves scribe, doctor, verifier, but the verifier must stay frozen: give it a separate pool",
        ),
        ({"envs": TIER_C, "pools": [FROZEN]}, "exactly one pool must serve the scribe, found none"),
        ({"envs": {"verdict": {"data": {"tier_c": True, "heldout": 0}}}, "pools": [{}, FROZEN]}, "set heldout above 0"),
        ({"envs": "contradiction", "pools": [{}, FROZEN]}, "no game of this run asks a verifier"),
        ({"pools": [{"model": "base"}]}, "which is the model that is trained: leave its model out"),
        (
            {"envs": ["verdict", {"id": "contradiction", "heldout": 0}], "evaluation": {"every": 2}},
            "evaluation.every needs held-out tasks, and contradiction keeps none back",
        ),
        ({"envs": "contradiction", "scribe": {"train": True}}, "nothing that the Scribe writes is paid for"),
        (
            {"scribe": {"train": True}},
            "verdict: a trained Scribe is paid for verified errors only: set data.tier_c to true",
        ),
        (
            {**TRAINED, "pools": [{}, FROZEN]},
            "engines serves scribe and doctor, but a trained Scribe has its own weights: write serves: [doctor]",
        ),
        ({**TRAINED, "learner": {"lora_rank": 0}}, "learner.lora_rank is 0 and learner.zero_stage 2: set lora_rank"),
        ({**TRAINED, "learner": {"zero_stage": 3}}, "learner.zero_stage 3: set lora_rank above 0 and zero_stage to 2"),
        (
            {**TRAINED, "sampling": {"group_size": 1}, "learner": {"algorithm": "reinforce_pp"}},
            "errors that some replies of a group find and others miss: set sampling.group_size to 2 or more",
        ),
        (
            {**TRAINED, "envs": {"verdict": {"data": {"tier_c": True, "proposer_tries": 0}}}},
            "verdict: set data.proposer_tries above 0",
        ),
        ({"scribe": {"phase_steps": 0}}, "greater than or equal to 1"),
        ({"envs": {"verdict": {"data": {"quadrants": {"augmented_error": 0.5}}}}}, "are twins: give them equal shares"),
        ({"envs": {"verdict": {"data": {"quadrants": {"synthetic_decoy": 0.5}}}}}, "are twins: give them equal shares"),
        (
            {
                "envs": {
                    "verdict": {
                        "data": {
                            "quadrants": dict.fromkeys(
                                ("augmented_error", "augmented_safe", "synthetic_decoy", "synthetic_injection"), 0
                            )
                        }
                    }
                }
            },
            "at least one quadrant must have a share above 0",
        ),
        ({"name": "my run"}, "should match pattern"),
        ({"pools": [{"name": "a.b"}]}, "should match pattern"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"learner": {"lr": 1}}, "Extra inputs are not permitted"),
    ],
)
def test_a_run_that_cannot_work_is_refused_with_what_to_write(content: dict[str, Any], said: str) -> None:
    assert said in refused(**content)


@pytest.mark.parametrize("max_lag", [0, 1, 5])
def test_a_refused_capacity_is_cured_by_the_value_in_the_message(max_lag: int) -> None:
    message = refused(buffer={"capacity": 1, "max_lag": max_lag})
    enough = int(message.rsplit(" ", 1)[1])
    assert RunSpec.model_validate({"buffer": {"capacity": enough, "max_lag": max_lag}}).buffer.capacity == enough


def test_the_scribes_learner_sees_groups_of_one_at_the_scribes_temperature() -> None:
    spec = RunSpec.model_validate(TRAINED)
    seen = spec.of_scribe
    assert (seen.sampling.group_size, seen.sampling.temperature) == (1, SCRIBE_TEMPERATURE)
    assert seen.learner.algorithm == "reinforce_pp" and spec.learner.algorithm == "reinforce_pp_baseline"
    assert RunSpec.model_validate(seen.model_dump()) == seen, "it is a spec that could be written"


def test_the_scribe_is_not_trained_by_default() -> None:
    assert not RunSpec().scribe.train


def test_only_the_pool_of_the_verifier_is_frozen() -> None:
    spec = RunSpec.model_validate({"envs": TIER_C, "pools": [{}, FROZEN]})
    assert [pool.frozen for pool in spec.pools] == [False, True]


def test_one_completion_a_task_is_right_for_plain_reinforce_pp() -> None:
    spec = RunSpec.model_validate({"sampling": {"group_size": 1}, "learner": {"algorithm": "reinforce_pp"}})
    assert spec.sampling.group_size == 1


@pytest.mark.parametrize(("written", "steps"), [(None, 4), (0, 0), (7, 7)])
def test_the_penalty_is_annealed_over_half_the_steps_unless_the_spec_says_otherwise(
    written: int | None, steps: int
) -> None:
    spec = RunSpec.model_validate(
        {"steps": 9, "envs": {"verdict": {"reward": {"outcome": "graded", "anneal_steps": written}}}}
    )
    (settings,) = spec.settled.envs
    assert isinstance(settings, VerdictSettings)
    assert settings.reward.anneal_steps == steps and settings.reward.outcome == "graded"


def test_a_reward_that_is_corrected_for_chance_has_no_schedule() -> None:
    (settings,) = RunSpec(steps=9).settled.envs
    assert isinstance(settings, VerdictSettings)
    assert (settings.reward.outcome, settings.reward.anneal_steps) == ("skill", 0)
    with pytest.raises(ValidationError, match="anneal_steps needs outcome graded or type"):
        RunSpec.model_validate({"envs": {"verdict": {"reward": {"anneal_steps": 4}}}})


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "../other", "a/b", "/tmp/x", "", "a\\b", "a b", "x\n"])
def test_the_name_of_a_run_cannot_leave_the_runs_folder(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        RunSpec(name=name)


@pytest.mark.parametrize("name", ["../engines", "a/b", "..", "a.b"])
def test_the_name_of_a_pool_is_no_path(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        PoolSpec(name=name)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "node-1"])
def test_metrics_that_other_machines_reach_need_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"give a token_file, or write host: 127\.0\.0\.1"):
        MetricsSpec(host=host)
    assert MetricsSpec(host=host, token_file=tmp_path / "token").host == host
