"""One task with its replies, as the template of the page takes it. All text is escaped where it becomes HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from common.records import EndReason
from deploy.report.advantages import Rollout
from deploy.report.episode_choice import Episode, Row
from envs.contract.page_view import PageView, Part, Shown

SHORT_LINES, SHORT_CHARACTERS = 3, 200
"""What the policy was shown is not folded up to so much."""
EDGE = 3
"""Turns at the beginning and at the end of a long episode that are not folded."""


def article(episode: Episode, view: PageView, advantages: Mapping[Rollout, float]) -> Row:
    """The task, its label, and each of its replies; `advantages` of those replies that have one."""
    first = episode[0]
    shown = Shown(
        context=first["context"], truth=first["truth"], operators=first["operators"] or (), tier=first["tier"] or ""
    )
    average = mean(row["reward"] for row in episode)
    return {
        **{key: first[key] for key in ("step", "kind", "vignette", "source", "task_id")},
        "title": view.task_title,
        "share": view.shares[0],
        "counted": sum(view.counted(*scored(row))[0] for row in episode),
        "reward": average,
        "outcomes": sorted({row["reason"] for row in episode}),
        "ends": sorted({row.get("ended") or "" for row in episode}),
        "shown": view.task(shown),
        "prompt": first.get("prompt"),
        "rollouts": [
            _rollout(row, view, shown, average, advantages.get((row["task_id"], row["rollout"]))) for row in episode
        ],
    }


def scored(row: Row) -> tuple[str, float, bool]:
    """Reason, reward, and whether the task was solved, which runs of before turns did not record."""
    solved = row.get("solved")
    return row["reason"], row["reward"], row["reward"] > 0 if solved is None else solved


def turn_count(row: Row) -> int:
    """Replies of an episode."""
    return len(row.get("step_tokens") or (0,))


def mean(values: Iterable[Any]) -> float:
    """0 of nothing."""
    known = list(values)
    return sum(known) / len(known) if known else 0.0


def _rollout(row: Row, view: PageView, shown: Shown, average: float, advantage: float | None) -> Row:
    """`beside` is the reward against the mean of the task's replies, which is what a group teaches."""
    components = {
        key.removeprefix("reward_"): value
        for key, value in row.items()
        if key.startswith("reward_") and value is not None
    }
    parts = view.parts(shown, row["completion"], components)
    return {
        "standing": _standing(view.standing(*scored(row)), parts),
        "reason": view.reason(row["reason"]),
        "version": row["step"],
        "reward": row["reward"],
        "beside": row["reward"] - average,
        "advantage": advantage,
        "components": list(components.items()),
        "parts": parts,
        "turns": _turns(row, view),
        "aside": view.beside(shown, row.get("actions") or [row["completion"]]),
        "count": len(row.get("actions") or (0,)),
        "ended": row.get("ended") or "",
        "finished": row.get("ended") in (None, EndReason.SUBMITTED),
        "oldest": row["policy_version_oldest"],
        "newest": row["policy_version_newest"],
        "lag": row["policy_lag"],
        "engine": row["engine"],
        "tokens": len(row["logps"]),
        "logp": mean(row["logps"]),
    }


def _standing(standing: str, parts: Sequence[Part]) -> str:
    """A reply that is good in the main and lacks a part is partly right."""
    return "part" if standing == "good" and not all(part.whole for part in parts) else standing


def _turns(row: Row, view: PageView) -> Row:
    """What the policy wrote in each turn, and what it was shown after it; the middle of a long episode apart.

    Runs of before turns have one, unnamed.
    """
    actions = row.get("actions") or [row["completion"]]
    shown = [*(row.get("shown") or ()), None]
    tokens, unread = row.get("step_tokens") or [0] * len(actions), row.get("unread") or ()
    turns = [
        {
            "number": at + 1,
            "reply": view.reply(action),
            "shown": text,
            "short": text is not None and _is_short(text),
            "tokens": tokens[at],
            "unread": at in unread,
        }
        for at, (action, text) in enumerate(zip(actions, shown, strict=False))
    ]
    if len(turns) <= 2 * EDGE + 1:
        return {"first": turns, "middle": [], "last": []}
    return {"first": turns[:EDGE], "middle": turns[EDGE:-EDGE], "last": turns[-EDGE:]}


def _is_short(text: str) -> bool:
    return len(text) <= SHORT_CHARACTERS and text.count("\n") < SHORT_LINES
