from __future__ import annotations

import pytest
import torch

from common.broadcast import digest

MEMORY = torch.arange(40_000, dtype=torch.int32).view(torch.uint8)  # 160,000 bytes: 19 rows and a rest


def test_every_changed_byte_changes_the_digest() -> None:
    before = digest(MEMORY)
    for place in (0, 7, 8191, 8192, 100_003, 155_648, 159_999):
        for bit in (1, 128):
            changed = MEMORY.clone()
            changed[place] ^= bit
            assert digest(changed) != before, (place, bit)


@pytest.mark.parametrize("step", [8, 8192, 16_384, 88])
def test_words_that_changed_places_change_the_digest(step: int) -> None:
    changed = MEMORY.clone()
    changed[:8], changed[step : step + 8] = MEMORY[step : step + 8], MEMORY[:8]
    assert digest(changed) != digest(MEMORY)


def test_a_lost_zero_at_the_end_changes_the_digest() -> None:
    zeros = torch.zeros(9000, dtype=torch.uint8)
    assert digest(zeros) != digest(zeros[:-1])


def test_a_tensor_and_its_bytes_have_one_digest() -> None:
    for tensor in (torch.randn(3, 5).bfloat16(), torch.tensor(2.0), torch.empty(0), torch.randn(70, 70)):
        assert digest(tensor) == digest(tensor.reshape(-1).view(torch.uint8))
