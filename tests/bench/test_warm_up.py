from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.warm_up import PADDED_POSITIONS, cut, pad
from learner.examples import Example

lengths = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=6)


def example(prompt: int, completion: int) -> Example:
    return Example(
        prompt_ids=tuple(range(100, 100 + prompt)), completion_ids=tuple(range(200, 200 + completion)), group="g"
    )


@given(lengths)
def test_padding_marks_exactly_the_positions_before_completion_tokens(pairs: list[tuple[int, int]]) -> None:
    ids_BT, predicts_BT, target_C = pad([example(*pair) for pair in pairs])
    after = torch.zeros_like(predicts_BT)
    after[:, 1:] = predicts_BT[:, :-1]
    assert ids_BT[after].tolist() == target_C.tolist()
    assert bool((ids_BT[after] >= 200).all()) and not bool((ids_BT[~after] >= 200).any())


def test_a_batch_is_cut_where_its_padded_rows_would_hold_too_many_positions() -> None:
    examples = [example(PADDED_POSITIONS // 3, 1)] * 5
    assert [len(rows) for rows in cut(examples)] == [2, 2, 1]
    assert [len(rows) for rows in cut([example(PADDED_POSITIONS, 1)] * 2)] == [1, 1]
