"""A rank's groups as packed rows on its device, equally many of them and of the head's calls on every rank.

Shapes: N sampled tokens of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from common.backends import BACKENDS
from common.budget import longest_row
from common.config import RunSpec
from common.records import Group
from learner.batch import SharedRow, TokenLayout, layout, pack, shared_row
from learner.rows import rows_of

AllGather = Callable[[Any], list[Any]]
"""Returns the values of all ranks. Collective."""


@dataclass(frozen=True)
class Terms:
    """What a row is trained on."""

    advantage_N: Tensor
    share_N: Tensor
    logp_ref_N: Tensor | None  # None when the KL is off
    tasks: str  # their ids, for messages


def packed_rows(
    groups: Sequence[Group], spec: RunSpec, all_gather: AllGather
) -> tuple[list[SharedRow], TokenLayout, list[str]]:
    """The rows, the layout of their tokens, and the ids of the tasks in each. Collective."""
    _, most = longest_row(spec)
    device = BACKENDS[spec.backend].device
    planned = rows_of(groups, most, lambda needed: max(all_gather(needed)))
    packed = [[pack(groups[part.group], part.episodes).to(device) for part in row] for row in planned]
    numbers = [part.group for row in planned for part in row]
    tokens = layout([part for row in packed for part in row], numbers, spec.learner.weighting)
    tasks = [", ".join(dict.fromkeys(groups[part.group].task_id for part in row)) for row in planned]
    return [shared_row(row) for row in packed], tokens, tasks


def group_calls(spec: RunSpec) -> int:
    """Calls of the head for a group, as many as the longest one of one turn needs."""
    return -(-spec.sampling.group_size * spec.sampling.max_tokens // spec.learner.logp_chunk)


def head_calls(rows: Sequence[SharedRow], spec: RunSpec, all_gather: AllGather) -> list[int]:
    """Calls of the head for each row: under ZeRO-3 every call gathers its weight from all ranks. Collective."""
    needed = [max(row.groups * group_calls(spec), -(-row.tokens // spec.learner.logp_chunk)) for row in rows]
    return [max(calls) for calls in zip(*all_gather(needed), strict=True)]
