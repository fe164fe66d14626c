"""Two adapters on one model: what trains the one must leave the other as it is, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from common.config import RunSpec, ScribeSpec
from learner import spare_cores
from learner.policy import base_model
from learner.rank_publishing import DoctorRank
from tests.learner.rank_cases import make_group, make_model, make_spec

GROUPS = [make_group(at) for at in range(4)]
OTHERS = [make_group(at) for at in range(10, 14)]
IDS = tuple(range(9))

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


def spec_of(train: bool, **learner: object) -> RunSpec:
    """Without the pools that the whole spec would have to have: no engine is started here."""
    return make_spec(**learner).model_copy(update={"scribe": ScribeSpec(train=train), "name": "scribe-rank-test"})


def both(model: Path, rendezvous: str, train: bool = True, **learner: object) -> DoctorRank:
    return DoctorRank(spec_of(train, **learner), model, 0, 1, rendezvous)


def adapters(rank: DoctorRank) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    return rank.adapter_weights(), rank.scribe("adapter_weights")


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    assert one.keys() == other.keys() and one
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(
    ("stage", "dtype"), [(0, "float32"), (0, "bfloat16"), (1, "bfloat16"), (2, "bfloat16"), (2, "float32")]
)
def test_training_one_adapter_leaves_the_others_tensors_byte_identical(
    model: Path, rendezvous: str, stage: int, dtype: str
) -> None:
    rank = both(model, rendezvous, zero_stage=stage, dtype=dtype)
    start = adapters(rank)
    rank.step(GROUPS)
    doctor, scribe = adapters(rank)
    assert not equal(doctor, start[0]) and equal(scribe, start[1])
    report = rank.scribe("step", OTHERS)
    after = adapters(rank)
    assert equal(after[0], doctor) and not equal(after[1], start[1])
    assert (report.step, rank.version) == (1, 1)


@pytest.mark.parametrize(("spare", "most"), [(0, 1), (1, 2)])
def test_a_rank_trains_with_its_spare_threads_and_rests_with_its_own(
    model: Path, rendezvous: str, monkeypatch: pytest.MonkeyPatch, spare: int, most: int
) -> None:
    monkeypatch.setattr(spare_cores, "SHORTEST", 0.0)
    rank = DoctorRank(spec_of(False), model, 0, 1, rendezvous, spare)
    seen = list[int]()
    for layer in base_model(rank._policy.module).get_decoder().layers:
        layer.register_forward_pre_hook(lambda _layer, _inputs: seen.append(torch.get_num_threads()))
    rank.accumulate(GROUPS)
    assert max(seen) == most
    assert torch.get_num_threads() == 1
    assert rank.apply().skipped == ""


@pytest.mark.parametrize("stage", [0, 2])
def test_a_doctor_beside_a_scribe_takes_the_steps_that_it_takes_alone(model: Path, rendezvous: str, stage: int) -> None:
    alone, beside = (both(model, rendezvous, train, zero_stage=stage, dtype="bfloat16") for train in (False, True))
    for step in range(3):
        alone.step(GROUPS)
        beside.accumulate(GROUPS)
        beside.scribe("canary", IDS)  # an engine of the Scribe's may join at any moment
        beside.apply()
        beside.scribe("step", OTHERS)
        assert beside.canary(IDS) == alone.canary(IDS), step
    assert equal(beside.adapter_weights(), alone.adapter_weights())
    assert beside.scribe("canary", IDS) != beside.canary(IDS)


def test_a_scribe_learns_what_a_learner_of_its_own_would(model: Path, rendezvous: str) -> None:
    spec = spec_of(False)
    beside = both(model, rendezvous)
    own = DoctorRank(spec.of_scribe, model, 0, 1, rendezvous)
    for _ in range(2):
        own.step(OTHERS)
        beside.step(GROUPS)
        beside.scribe("step", OTHERS)
    assert beside.scribe("canary", IDS) == pytest.approx(own.canary(IDS), abs=1e-4)


def test_each_side_publishes_its_own_adapter_merged_into_the_shared_base(
    model: Path, rendezvous: str, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    rank = both(model, rendezvous)
    rank.step(GROUPS)
    rank.scribe("step", OTHERS)
    rank.scribe("save_model", tmp_path / "scribe")
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    merged = PeftModel.from_pretrained(base, tmp_path / "scribe" / "adapter").merge_and_unload().state_dict()
    published = {name: tensor.clone() for name, tensor in rank.scribe("published_weights")}
    assert all(torch.allclose(tensor, merged[name], atol=1e-6) for name, tensor in published.items())
    doctors = {name: tensor.clone() for name, tensor in rank.published_weights()}
    assert doctors.keys() == published.keys() and not all(torch.equal(doctors[n], t) for n, t in published.items())
    saved = load_file(tmp_path / "scribe" / "adapter" / "adapter_model.safetensors")
    assert equal(saved, rank.scribe("adapter_weights"))


def test_each_side_stages_a_segment_of_its_own(model: Path, rendezvous: str) -> None:
    rank = both(model, rendezvous)
    rank.step(GROUPS)
    rank.stage(1)
    rank.scribe("stage", 1)
    made = Path("/dev/shm").glob(f"medserl-scribe-rank-test-{os.getpid()}-*")
    segments = sorted(made, key=lambda path: path.name.endswith("-scribe-weights"), reverse=True)
    assert [path.name.split("-")[6:] for path in segments] == [["scribe", "weights"], ["weights"]]
    assert segments[0].read_bytes() != segments[1].read_bytes()
    sent = rank.send(1, {}), rank.scribe("send", 1, {})
    assert sent[0].checksum != sent[1].checksum
    rank.scribe("close")
    assert not segments[0].exists() and segments[1].exists()
    segments[1].unlink()


@pytest.mark.parametrize(("stage", "dtype"), [(0, "bfloat16"), (2, "bfloat16"), (2, "float32")])
def test_both_sides_resume_bit_for_bit(model: Path, rendezvous: str, tmp_path: Path, stage: int, dtype: str) -> None:
    first = both(model, rendezvous, zero_stage=stage, dtype=dtype)
    first.step(GROUPS)
    first.scribe("step", OTHERS)
    first.scribe("step", OTHERS)
    first.save(tmp_path)
    first.scribe("save", tmp_path)
    resumed = both(model, rendezvous, zero_stage=stage, dtype=dtype)
    resumed.load(tmp_path)
    resumed.scribe("load", tmp_path)
    assert resumed.version == 1
    for rank in (first, resumed):
        rank.step(OTHERS)
        assert rank.scribe("step", GROUPS).step == 3
    assert all(equal(one, other) for one, other in zip(adapters(first), adapters(resumed), strict=True))


def test_a_checkpoint_of_the_doctor_alone_holds_nothing_of_the_scribe(
    model: Path, rendezvous: str, tmp_path: Path
) -> None:
    rank = both(model, rendezvous)
    rank.scribe("canary", IDS)  # the Scribe's adapter is the active one now
    rank.save(tmp_path)
    states = torch.load(tmp_path / "learner" / "mp_rank_00_model_states.pt", weights_only=False)["module"]
    assert states and not [name for name in states if ".scribe." in name]
