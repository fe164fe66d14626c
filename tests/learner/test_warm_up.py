from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch.nn import functional

from common.config import RunSpec
from learner import attention, warm_up
from learner.examples import Example
from tests.learner.rank_cases import VOCABULARY, make_model
from tests.learner.tiny_models import FAMILIES


def example(index: int, rng: random.Random) -> Example:
    """Any prompt is answered by the same five tokens, as a reply format is."""
    prompt = tuple(rng.randrange(8, VOCABULARY) for _ in range(rng.randrange(3, 12)))
    return Example(prompt_ids=prompt, completion_ids=(3, 4, 5, 6, 7), group=f"note-{index // 2}")


@pytest.fixture
def examples() -> list[Example]:
    rng = random.Random(0)
    return [example(index, rng) for index in range(40)]


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model", initializer_range=0.02)


def spec_for(tmp_path: Path, dtype: str = "float32", **warm: object) -> RunSpec:
    settings = {"steps": 25, "batch": 4, "learning_rate": 1e-2, **warm}
    return RunSpec.model_validate(
        {"model": {"cache": tmp_path / "cache", "dtype": dtype, "context": 512}, "warm_up": settings}
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_format_is_learnt_and_the_second_run_is_free(
    tmp_path: Path, model_folder: Path, examples: list[Example], dtype: str
) -> None:
    seen: list[tuple[int, float]] = []
    spec = spec_for(tmp_path, dtype)
    folder = warm_up.warmed_model(spec, model_folder, examples, lambda step, loss: seen.append((step, loss)))

    assert [step for step, _ in seen] == list(range(1, 26))
    report = warm_up.report(folder)
    assert report is not None and report.heldout_loss_before is not None and report.heldout_loss_after is not None
    assert report.heldout_loss_before > 3.5
    assert report.heldout_loss_after < 1.0
    assert (folder / "tokenizer.json").read_text() == "{}"
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]

    seen.clear()
    assert warm_up.warmed_model(spec, model_folder, examples, lambda step, loss: seen.append((step, loss))) == folder
    assert seen == []


def test_the_saved_model_is_an_ordinary_one_that_answers_in_the_format(
    tmp_path: Path, model_folder: Path, examples: list[Example]
) -> None:
    from transformers import AutoModelForCausalLM

    folder = warm_up.warmed_model(spec_for(tmp_path, steps=40), model_folder, examples, lambda step, loss: None)
    model = AutoModelForCausalLM.from_pretrained(folder)
    reply = model.generate(torch.tensor([[9, 10, 11]]), max_new_tokens=5, min_new_tokens=5, do_sample=False)
    assert reply[0, 3:].tolist() == [3, 4, 5, 6, 7]


def test_a_large_model_learns_through_adapters_and_is_saved_merged(
    tmp_path: Path, model_folder: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_up, "_WHOLE_MODEL_LIMIT", 1000)
    folder = warm_up.warmed_model(
        spec_for(tmp_path, learning_rate=3e-2, steps=60), model_folder, examples, lambda *_: None
    )
    report = warm_up.report(folder)
    assert report is not None and report.heldout_loss_before is not None and report.heldout_loss_after is not None
    assert report.heldout_loss_after < report.heldout_loss_before - 0.3
    assert not list(folder.glob("adapter*"))
    from transformers import AutoModelForCausalLM

    names = dict(AutoModelForCausalLM.from_pretrained(folder).named_parameters())
    assert not [name for name in names if "lora" in name]


def test_any_change_of_data_settings_or_weights_makes_another_model(
    tmp_path: Path, model_folder: Path, examples: list[Example]
) -> None:
    spec = spec_for(tmp_path, steps=1)
    keys = {
        warm_up.key(spec, model_folder, examples),
        warm_up.key(spec, model_folder, examples[:-1]),
        warm_up.key(spec_for(tmp_path, steps=2), model_folder, examples),
        warm_up.key(spec.model_copy(update={"seed": 1}), model_folder, examples),
    }
    (model_folder / "tokenizer.json").write_text("{ }")
    assert len(keys | {warm_up.key(spec, model_folder, examples)}) == 5


def test_no_steps_means_the_model_as_it_is(tmp_path: Path, model_folder: Path) -> None:
    assert warm_up.warmed_model(spec_for(tmp_path, steps=0), model_folder, [], lambda *_: None) == model_folder
    assert warm_up.report(model_folder) is None


def test_an_interrupted_warm_up_leaves_nothing_in_the_cache(
    tmp_path: Path, model_folder: Path, examples: list[Example]
) -> None:
    def interrupt(step: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warm_up.warmed_model(spec_for(tmp_path), model_folder, examples, interrupt)
    assert list((tmp_path / "cache" / "warm").iterdir()) == []


def test_an_example_that_does_not_fit_is_named(tmp_path: Path, model_folder: Path, examples: list[Example]) -> None:
    giant = Example(prompt_ids=(9,) * 600, completion_ids=(1,), group="note-77")
    with pytest.raises(ValueError, match=r"note-77 has 601 tokens, model.context is 512"):
        warm_up.warmed_model(spec_for(tmp_path), model_folder, [*examples, giant], lambda *_: None)


def test_twins_stay_on_one_side_of_the_split(examples: list[Example]) -> None:
    train, heldout = warm_up.split(examples, seed=3)
    assert heldout and len(train) + len(heldout) == len(examples)
    assert not {row.group for row in train} & {row.group for row in heldout}


def test_every_epoch_shows_every_example_once(examples: list[Example]) -> None:
    plan = warm_up.batches(examples, 4, seed=0)
    first, second = ([next(plan) for _ in range(10)] for _ in range(2))
    assert first != second
    for epoch in (first, second):
        rows = [row for batch in epoch for row in batch]
        assert sorted(map(repr, rows)) == sorted(map(repr, examples))


def test_the_rate_rises_then_falls_to_a_tenth() -> None:
    rates = [warm_up.rate(step, 60) for step in range(1, 61)]
    assert rates[5] == max(rates) == 1.0
    assert rates[-1] == pytest.approx(0.1)
    assert warm_up.rate(1, 1) == 1.0


@st.composite
def example_lists(draw: st.DrawFn) -> list[Example]:
    """Examples whose prompts begin alike for some tokens, or none; a whole prompt may be shared."""
    token = st.integers(0, 3)  # few, so that chance shares some more
    shared = draw(st.lists(token, max_size=4))
    rest = st.lists(token, max_size=4)
    made = draw(st.lists(st.tuples(rest, st.lists(st.integers(4, 9), min_size=1, max_size=4)), min_size=1, max_size=6))
    return [
        Example(prompt_ids=(*shared, *prompt) or (0,), completion_ids=tuple(completion), group="g")
        for prompt, completion in made
    ]


@given(example_lists(), st.integers(1, 30))
def test_rows_hold_every_example_whole_and_predict_its_completion(examples: list[Example], most: int) -> None:
    packed = list(warm_up.rows(examples, most))
    seen = []
    for row in packed:
        prompt = row.ids_S[: row.ids_S.numel() - int(row.length_n.sum())].tolist()
        branches = [prompt + ids.tolist() for ids in row.ids_S[len(prompt) :].split(row.length_n.tolist())]
        positions = row.positions_S[len(prompt) :].split(row.length_n.tolist())
        assert all(p.tolist() == list(range(len(prompt), len(b))) for b, p in zip(branches, positions, strict=True))
        assert len(branches) == 1 or row.ids_S.numel() <= most
        seen += branches
    assert seen == [[*example.prompt_ids, *example.completion_ids] for example in examples]
    targets = [token for row in packed for token in row.target_N.tolist()]
    assert targets == [token for example in examples for token in example.completion_ids]
    for row in packed:
        assert (row.positions_S[row.source_N] >= 0).all() and (row.source_N >= 0).all()


def test_what_all_prompts_of_a_row_begin_with_is_there_once() -> None:
    examples = [
        Example(prompt_ids=(1, 2, 3, 4), completion_ids=(8, 9), group="a"),
        Example(prompt_ids=(1, 2, 5), completion_ids=(9,), group="b"),
    ]
    (row,) = warm_up.rows(examples)
    assert row.ids_S.tolist() == [1, 2, 3, 4, 8, 9, 5, 9]
    assert row.positions_S.tolist() == [0, 1, 2, 3, 4, 5, 2, 3]
    assert row.length_n.tolist() == [4, 2]
    assert row.source_N.tolist() == [3, 4, 6] and row.target_N.tolist() == [8, 9, 9]


def separate_loss(model: Any, examples: list[Example]) -> torch.Tensor:
    """The same sum from one plain row an example."""
    total = torch.zeros(())
    for example in examples:
        ids = torch.tensor([(*example.prompt_ids, *example.completion_ids)])
        logits_TV = model(input_ids=ids).logits[0, len(example.prompt_ids) - 1 : -1]
        total = total + functional.cross_entropy(logits_TV, torch.tensor(example.completion_ids), reduction="sum")
    return total


@pytest.mark.parametrize("family", ["llama", "gemma"])
@pytest.mark.parametrize("most", [14, 1000], ids=["rows of few", "one row"])
def test_packed_rows_give_the_loss_and_gradients_of_separate_rows(family: str, most: int) -> None:
    from transformers import AutoModelForCausalLM

    rng = random.Random(1)
    shared = tuple(rng.randrange(61) for _ in range(6))  # longer than the window of the sliding layer
    drawn = [example(index, rng) for index in range(5)]
    examples = [msgspec.structs.replace(e, prompt_ids=(*shared, *(i % 61 for i in e.prompt_ids))) for e in drawn]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES[family](), dtype=torch.float32).train()
    expected = separate_loss(model, examples)
    theirs = torch.autograd.grad(expected, list(model.parameters()))

    model.set_attn_implementation(attention.register())
    packed = list(warm_up.rows(examples, most))
    assert (len(packed) > 1) == (most == 14)
    loss = torch.stack([warm_up.summed_loss(model, row) for row in packed]).sum()
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-6)
    for ours, other in zip(torch.autograd.grad(loss, list(model.parameters())), theirs, strict=True):
        torch.testing.assert_close(ours, other, atol=2e-5, rtol=1e-4)


def test_a_warm_up_whose_loss_is_no_number_is_refused_and_not_cached(
    tmp_path: Path, model_folder: Path, examples: list[Example]
) -> None:
    weights = model_folder / "model.safetensors"
    broken = {name: tensor * (float("nan") if "norm" in name else 1) for name, tensor in load_file(weights).items()}
    save_file(broken, weights, metadata={"format": "pt"})
    spec = spec_for(tmp_path)
    with pytest.raises(
        ValueError, match=r"warm-up: the loss is nan: lower warm_up.learning_rate, or check the weights"
    ):
        warm_up.warmed_model(spec, model_folder, examples, lambda *_: None)
    assert not list((tmp_path / "cache" / "warm").iterdir())


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"steps": "x"}'])
def test_a_damaged_report_of_the_cache_ends_no_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "warm_up.json").write_bytes(content)
    assert warm_up.report(tmp_path) is None
