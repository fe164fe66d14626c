from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from common.architecture import PUBLISHED, architecture
from common.command_line import BAD_INPUT
from common.config import RunSpec
from deploy import cli, plan
from deploy.cluster.gpu_layout import SPARE_GIB, VISIBLE, engine_starts, gpu_share, plan_memory
from deploy.locks.driver import driver_line

SPECS = Path("deploy/specs")


def spec_of(name: str, *flags: str) -> RunSpec:
    return cli.parse([str(SPECS / f"{name}.yaml"), *flags]).spec.concrete("bfloat16")


def planned(capsys: pytest.CaptureFixture[str], name: str, *flags: str) -> tuple[int, str, str]:
    code = plan.main([str(SPECS / f"{name}.yaml"), *flags])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("dtype", ["auto", "float32"])
@pytest.mark.parametrize("name", sorted(path.stem for path in SPECS.glob("*.yaml")))
def test_every_spec_that_ships_fits_its_hardware_on_a_cpu_in_float32_too(
    name: str, dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu = spec_of(name).backend == "cpu"
    code, out, err = planned(capsys, name, *(("--model.dtype", dtype) if cpu else ()))
    assert (code, err) == (0, "")
    assert out.startswith("fits: at the peak ") and "staleness     lag <=" in out


def test_medgemma_with_lora_stays_under_24_gb_on_one_card(capsys: pytest.CaptureFixture[str]) -> None:
    (card,) = plan_memory(spec_of("rtx4090"), PUBLISHED["google/medgemma-4b-it"])
    assert 18 < card.used <= VISIBLE * 24 - SPARE_GIB and [tenant.share for tenant in card.tenants] == [0.5, 0.5]
    _, out, _ = planned(capsys, "rtx4090")
    assert "(3,880.3M text + 419.8M vision parameters) x 2 B" in out
    assert "LoRA adapters through shared memory" in out


def test_full_fine_tuning_there_is_refused_with_the_reason_and_a_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--learner.lora_rank", "0", "--weights.transport", "shm")
    code, out, err = planned(capsys, "rtx4090", *flags)
    lines = err.splitlines()
    assert out.startswith("does not fit: at the peak ") and out.splitlines()[0].endswith(" of 24 GiB (node 0, GPU 0)")
    assert code == BAD_INPUT and all(line.startswith("plan: ") for line in lines)
    assert "GiB do not fit the 22.5 usable of 24: learner rank 0" in lines[0] and "AdamW 28.9" in lines[0]
    assert lines[-1] == "plan: the smallest change that fits: learner.lora_rank: 32"


def test_the_change_that_is_advised_fits(capsys: pytest.CaptureFixture[str]) -> None:
    spec = spec_of("rtx4090", "--pools", '[{"name": "big", "kv_cache_gib": 8}]', "--learner.logp_chunk", "1024")
    arch = architecture(spec.model.source)
    edits = plan.smallest_change(spec, arch)
    assert edits is not None
    edited = plan.edited(spec, edits)
    assert edited is not None and plan.problems(spec, arch)[0] and not plan.problems(edited, arch)[0]
    assert "pools.big.kv_cache_gib: " in plan.refusal(spec, arch, ["x"])


def test_a_card_that_is_nearly_full_keeps_a_gibibyte_free() -> None:
    spec = spec_of("rtx4090", "--pools", '[{"kv_cache_gib": 2}]')
    arch = architecture(spec.model.source)
    (card,) = plan_memory(spec, arch)
    assert card.used < 0.95 * 24 and not card.fits


def test_the_plan_predicts_what_is_free_at_each_start_of_an_engine() -> None:
    (card,) = plan_memory(spec_of("rtx4090"), PUBLISHED["google/medgemma-4b-it"])
    first, resume, restart = engine_starts(card)
    learner = next(tenant for tenant in card.tenants if not tenant.request)
    moments = next(item.size for item in learner.items if item.what == "AdamW")
    gradients = next(item.size for item in learner.items if item.what == "gradients")
    assert [start.moment for start in (first, resume, restart)] == ["first start", "resume", "restart"]
    assert first.free - resume.free == moments + gradients
    assert resume.free > restart.free >= restart.request == resume.request == first.request


def test_an_engine_that_vllm_would_not_let_start_is_known_by_its_moment() -> None:
    (card,) = plan_memory(spec_of("rtx4090"), PUBLISHED["google/medgemma-4b-it"])
    smaller = replace(card, gib=(card.used - 0.1) / VISIBLE)
    assert [start.passes for start in engine_starts(smaller)] == [True, True, False]


def test_rollouts_ask_for_no_more_than_the_cache_holds(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = planned(capsys, "rtx4090", "--rollout.concurrency", "16")
    assert code == BAD_INPUT
    assert err.splitlines() == [
        "plan: pools.engines.kv_cache_gib 1.75 holds rollout.concurrency 3 at most: 16 would be 144 sequences at once",
        "plan: the smallest change that fits: rollout.concurrency: 3",
    ]
    _, out, _ = planned(capsys, "rtx4090")
    assert "1 x 27 sequences at once: rollouts ask for 27 of the pool, 1.69 GiB of its 1.75 GiB of KV cache" in out


def test_an_optimizer_that_a_machine_cannot_hold_is_not_moved_there(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--learner.offload_optimizer", "true", "--hardware.ram_gib", "64")
    code, _, err = planned(capsys, "node8", *flags)
    assert code == BAD_INPUT and "learner.offload_optimizer keeps 58 GiB in the memory of one machine, more than" in err
    assert planned(capsys, "node8", *flags[:2])[0] == 0


def test_the_plan_of_a_gpu_run_says_which_driver(capsys: pytest.CaptureFixture[str]) -> None:
    assert driver_line() == "NVIDIA driver 580 or newer: the GPU lock is built for CUDA 13.0"
    assert driver_line() in planned(capsys, "node8")[1]
    assert "NVIDIA" not in planned(capsys, "smoke")[1]


def test_ranks_and_engines_get_cards_of_their_own_where_there_are_enough() -> None:
    spec = spec_of("node8")
    cards = plan_memory(spec, architecture(spec.model.source))
    assert [tenant.name for card in cards for tenant in card.tenants] == [
        *(f"learner rank {rank}" for rank in range(4)),
        "scribes-0",
        *(f"doctors-{index}" for index in range(3)),
    ]
    assert [card.name for card in cards] == [f"node 0, GPU {gpu}" for gpu in range(8)]


def test_the_plan_shows_what_ray_will_be_asked_and_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = planned(capsys, "node8", "--hardware.nodes", "2")
    assert re.search(r"the learner +4 x 1 GPU +node 0\s", out)
    assert re.search(r"scribes-0 +1 x 1 GPU +node 1\s", out)
    _, out, _ = planned(capsys, "smoke")
    assert re.search(r"engines-0 +1 x 0 GPU +node 0\s", out)
    assert re.search(r"no group +buffer, routers, roles +node 0, the driver's\s", out)


def test_an_engine_of_two_cards_stays_on_one_machine() -> None:
    pools = '[{"name": "engines", "engines": 1, "tensor_parallel": 2}]'
    flags = ("--pools", pools, "--learner.ranks", "2", "--learner.zero_stage", "2", "--hardware.nodes", "2")
    spec = spec_of("node8", *flags, "--hardware.gpus", "3")
    cards = plan_memory(spec, PUBLISHED["google/medgemma-4b-it"])
    engine = [card.name for card in cards if card.tenants[0].name == "engines-0"]
    assert engine == ["node 1, GPU 0", "node 1, GPU 1"]  # node 0 has one card left, which is not enough
    (pool,) = spec.pools
    two = spec.model_copy(update={"pools": (pool.model_copy(update={"engines": 2}),)})
    with pytest.raises(ValueError, match="engines-1 wants 2 GPUs of one machine and none has as many free"):
        plan_memory(two, PUBLISHED["google/medgemma-4b-it"])


@pytest.mark.parametrize(
    ("name", "flags", "line"),
    [
        ("node8", ["--hardware.gpus", "4"], "this run wants 8 GPUs (4 for engines, 4 for the learner) and the cluster"),
        ("node8", ["--hardware.gpus", "0"], "hardware.gpus is 0: write how many GPUs a machine has"),
        ("rtx4090", ["--weights.transport", "broadcast"], "NCCL does not join two processes on one GPU"),
        ("laptop", ["--hardware.nodes", "2"], "shm travels through one machine's shared memory: set hardware.nodes: 1"),
        ("laptop", ["--model.source", "org/unheard-of"], "model.source 'org/unheard-of': no facts to plan with"),
        ("laptop", ["--hardware.ram_gib", "2"], "memory: "),
        ("smoke", ["--pools", '[{"kv_cache_gib": 0.001}]'], "pools.engines.kv_cache_gib 0.001 holds not one task of"),
        ("node8", ["--pools", '[{"tensor_parallel": 3}]'], "pools.engines.tensor_parallel 3 does not divide 8 heads"),
    ],
)
def test_what_cannot_work_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], name: str, flags: list[Any], line: str
) -> None:
    code, _, err = planned(capsys, name, *flags)
    assert code == BAD_INPUT and err.startswith(f"plan: {line}")


@pytest.mark.integration
def test_a_verifier_of_its_own_takes_the_memory_of_its_own_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"model_type": "llama", "hidden_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 8,
              "num_key_value_heads": 8, "intermediate_size": 4096, "vocab_size": 32000}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    own = f', "model": "{tmp_path}"'
    judged = ("--envs.verdict.data.tier_c", "true")
    pools = '[{"name": "engines"}, {"name": "frozen", "serves": ["verifier"], "kv_cache_gib": 0.5%s}]'

    def weights(model: str) -> dict[str, int]:
        spec = spec_of("laptop", *judged, "--pools", pools % model)
        (card,) = plan_memory(spec, architecture(spec.model.source))
        return {one.name: item.size for one in card.tenants for item in one.items if item.what == "weights"}

    same, other = weights(""), weights(own)
    assert same["frozen-0"] == same["engines-0"] == other["engines-0"]
    assert other["frozen-0"] == 2 * architecture(str(tmp_path)).text_parameters != same["frozen-0"]
    assert weights(', "model": "base"') == same
    code, _, err = planned(capsys, "laptop", *judged, "--pools", pools % ', "model": "org/unheard-of"')
    assert code == BAD_INPUT and err.startswith("plan: pools.frozen.model 'org/unheard-of': no facts to plan with")
    large = pools % ', "model": "google/medgemma-4b-it"'
    code, _, err = planned(capsys, "laptop", *judged, "--pools", large, "--model.dtype", "float32")
    assert code == BAD_INPUT and "frozen-0" in err and "weights 14." in err


def test_a_cache_without_room_is_refused_with_the_smallest_size(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = planned(capsys, "smoke", "--pools", '[{"kv_cache_gib": 0.001}]')
    assert err.splitlines()[1:] == ["plan: the smallest change that fits: pools.engines.kv_cache_gib: 0.25"]


def test_medgemma_on_80_gb_trains_with_lora_on_one_card_and_whole_on_four() -> None:
    arch = PUBLISHED["google/medgemma-4b-it"]
    one = spec_of("rtx4090", "--hardware.gpu_gib", "80")
    whole = ("--learner.lora_rank", "0", "--weights.transport", "shm")
    assert not plan.problems(one, arch)[0]
    assert plan.problems(spec_of("rtx4090", "--hardware.gpu_gib", "80", *whole), arch)[0]
    assert not plan.problems(spec_of("node8"), arch)[0]


def test_where_nothing_helps_the_plan_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = planned(capsys, "rtx4090", "--hardware.gpu_gib", "8")
    assert "changes of the spec make it fit: it needs more or larger cards" in err


def test_one_card_is_shared_evenly_and_too_few_are_refused() -> None:
    spec = spec_of("node8")
    assert gpu_share(spec, 8) == 1 and gpu_share(spec, 1) == 1 / 8
    with pytest.raises(ValueError, match="use one card for all"):
        gpu_share(spec, 4)
