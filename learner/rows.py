"""Which episodes of a rank's groups share a row: planned from lengths alone, before anything is packed. No torch.

A row holds what its prompts begin with once, then group after group. It is at most as long as the learner's memory was
planned for (`common.budget.longest_row`); a group that is longer is cut into parts of similar-length episodes, each
with the prompt once. All ranks run equally many rows: under ZeRO-3 every pass gathers the weights from all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from common.records import Group


@dataclass(frozen=True)
class Part:
    """Some episodes of one group, in ascending order."""

    group: int  # its number among the rank's groups
    episodes: tuple[int, ...]


Rows = list[list[Part]]
Anything = TypeVar("Anything")


def rows_of(groups: Sequence[Group], most: int, most_needed: Callable[[int], int] = lambda needed: needed) -> Rows:
    """Every episode once, in rows of at most `most` tokens; an episode that is longer has a row to itself.

    `most_needed` says how many rows there must be, given how many this rank needs: the most that any rank does. Ranks
    must have equally many episodes.
    """
    parts = [part for at, group in enumerate(groups) for part in _parts(at, group, most)]
    needed = next(rows for rows in range(1, len(parts) + 1) if _arranged(groups, parts, rows, most) is not None)
    rows = most_needed(needed)
    while len(parts) < rows:
        parts = _halved(groups, parts)
    return _arranged(groups, parts, rows, most) or _balanced(groups, parts, rows)


def dealt(tokens: Sequence[int], ranks: int) -> list[list[int]]:
    """Which groups of these lengths each rank trains on, in ascending order: equally many, and similar in tokens.

    The longest first, each to the rank with the fewest tokens so far that has room.
    """
    assert len(tokens) % ranks == 0
    mine: list[list[int]] = [[] for _ in range(ranks)]
    for at in sorted(range(len(tokens)), key=lambda at: -tokens[at]):
        open_ranks = (groups for groups in mine if len(groups) < len(tokens) // ranks)
        min(open_ranks, key=lambda groups: sum(tokens[other] for other in groups)).append(at)
    return [sorted(groups) for groups in mine]


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with alike."""
    columns = enumerate(zip(*prompts, strict=False))
    return next((at for at, tokens in columns if len(set(tokens)) > 1), min(map(len, prompts)))


def split(parts: Sequence[Anything], rows: int) -> list[list[Anything]]:
    """The parts, in order, in so many rows whose numbers of parts differ by one at most."""
    bounds = [len(parts) * row // rows for row in range(rows + 1)]
    return [list(parts[low:high]) for low, high in pairwise(bounds)]


def _parts(number: int, group: Group, most: int) -> list[Part]:
    """The group, cut where it is longer than `most`: the longest episodes first, as many as fit."""
    lengths = [rollout.branch_tokens for rollout in group.rollouts]
    room = most - len(group.prompt_ids)
    if sum(lengths) <= room:
        return [Part(group=number, episodes=tuple(range(len(lengths))))]
    cuts: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        if not cuts or sum(lengths[other] for other in cuts[-1]) + lengths[at] > room:
            cuts.append([])
        cuts[-1].append(at)
    return [Part(group=number, episodes=tuple(sorted(cut))) for cut in cuts]


def _halved(groups: Sequence[Group], parts: Sequence[Part]) -> list[Part]:
    """The same episodes in one part more: the longest that can be halved is."""
    largest = max((p for p in parts if len(p.episodes) > 1), key=lambda part: _tokens(groups, part), default=None)
    assert largest is not None, "every rank needs as many episodes as another one needs rows"
    middle = len(largest.episodes) // 2
    halves = [
        Part(group=largest.group, episodes=half) for half in (largest.episodes[:middle], largest.episodes[middle:])
    ]
    return [piece for part in parts for piece in (halves if part is largest else [part])]


def _arranged(groups: Sequence[Group], parts: Sequence[Part], rows: int, most: int) -> Rows | None:
    """The parts in so many rows, in their order if that fits; None where a row of several is longer than `most`."""
    for arranged in (split(parts, rows), _balanced(groups, parts, rows)):
        if all(len(row) == 1 or row_tokens(groups, row) <= most for row in arranged):
            return arranged
    return None


def _balanced(groups: Sequence[Group], parts: Sequence[Part], rows: int) -> Rows:
    """Rows of similar length: each part, the longest first, goes to the row that is the shortest so far."""
    arranged: Rows = [[] for _ in range(rows)]
    held = [0] * rows
    for part in sorted(parts, key=lambda part: -_tokens(groups, part)):
        at = held.index(min(held))
        arranged[at].append(part)
        held[at] += _tokens(groups, part)
    return [sorted(row, key=lambda part: (part.group, part.episodes)) for row in arranged]


def row_tokens(groups: Sequence[Group], row: Sequence[Part]) -> int:
    """Positions of the packed row."""
    shared = common_prefix([groups[part.group].prompt_ids.tolist() for part in row])
    return sum(_tokens(groups, part) - shared for part in row) + shared


def _tokens(groups: Sequence[Group], part: Part) -> int:
    group = groups[part.group]
    return len(group.prompt_ids) + sum(group.rollouts[at].branch_tokens for at in part.episodes)
