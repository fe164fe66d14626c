"""A page to read a run's episodes with their labels: one static file, no scripts or styles from outside.

Tasks and replies are shown as their game shows them. All text is escaped: a completion is whatever the policy wrote.
Only narrow columns are read of all rollouts; texts are read only for the episodes on the page.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from common.files import read_text, write_whole
from common.records import EndReason
from deploy.report.rollout_log import read_episodes, read_run
from deploy.report.steps import read_steps
from envs.contract.page_view import PageView, Shown, words
from envs.contract.reports import Reports, alarm_spans

Row = dict[str, Any]
Episode = list[Row]
"""The rollouts of one task in one step."""

EPISODES = 60
"""Maximum episodes on a page."""
SHORT_LINES, SHORT_CHARACTERS = 3, 200
"""What the policy was shown is not folded up to so much."""
EDGE = 3
"""Turns at the beginning and at the end of a long episode that are not folded."""
_NARROW = (
    "step",
    "task_id",
    "env",
    "kind",
    "reason",
    "reward",
    "solved",
    "policy_lag",
    "engine",
    "ended",
    "unread",
    "step_tokens",
)
_HIDDEN = {"prompt_ids", "token_ids", "versions", "observed_ids", "observed_tokens", "replies"}
_HERE = Path(__file__)


def write_page(run_folder: Path, reports: Reports) -> Path:
    """Write `episodes.html` from the run's rollouts. Raises ValueError when there are none."""
    episodes = _episodes(read_run(run_folder, _NARROW).to_pylist())
    chosen = [(episode[0]["step"], episode[0]["task_id"]) for episode in choose(episodes, EPISODES)]
    table = read_episodes(run_folder, chosen)
    hidden = [name for name in table.column_names if name in _HIDDEN]  # runs of before turns lack some
    shown = _episodes(table.drop_columns(hidden).to_pylist())
    rows = [row for episode in episodes for row in episode]
    several = any(_turn_count(row) > 1 for row in rows)
    views = {env_id: report.view for env_id, report in reports.items()}
    page = _template().render(
        name=run_folder.resolve().name,
        style=Markup(read_text(_HERE.with_suffix(".css"))),
        script=Markup(read_text(_HERE.with_suffix(".js"))),
        summary=_summary(episodes),
        several=several,
        noun="episode" if several else "completion",
        legend=list(dict.fromkeys(line for view in views.values() for line in view.legend)),
        alarms=_alarms(run_folder, reports),
        tables=[_table(env, mine, _view(views, env)) for env, mine in _by("env", episodes).items()],
        endings=sorted({(row["ended"], words(row["ended"])) for row in rows if row.get("ended")}) if several else [],
        left_out=len(episodes) - len(shown),
        kinds=sorted({(kind := episode[0]["kind"], words(kind)) for episode in shown}),
        outcomes=sorted(
            {(row["reason"], _view(views, row["env"]).reason(row["reason"])) for episode in shown for row in episode}
        ),
        episodes=[_article(episode, _view(views, episode[0]["env"])) for episode in shown],
    )
    path = run_folder / "episodes.html"
    write_whole(path, page.encode())
    return path


def _alarms(run_folder: Path, reports: Reports) -> list[Row]:
    rows = read_steps(run_folder).found
    return [
        {"env": env_id if len(reports) > 1 else "", "first": span.first, "last": span.last, "text": span.text}
        for env_id, report in reports.items()
        for span in alarm_spans(env_id, report, rows)
    ]


def choose(episodes: list[Episode], most: int) -> list[Episode]:
    """At most `most` episodes in step order: equally many of each kind, spread evenly over the steps of that kind."""
    by_kind: dict[str, list[int]] = defaultdict(list)
    for number, episode in enumerate(episodes):
        by_kind[episode[0]["kind"]].append(number)
    chosen: list[int] = []
    kinds = sorted(by_kind.values(), key=len)
    for place, numbers in enumerate(kinds):
        share = min(len(numbers), (most - len(chosen)) // (len(kinds) - place))
        chosen += [numbers[k * len(numbers) // share] for k in range(share)]
    return [episodes[number] for number in sorted(chosen)]


def _template() -> Any:
    made = Environment(loader=FileSystemLoader(_HERE.parent), autoescape=True, undefined=StrictUndefined)
    made.filters["words"] = words
    made.filters["plural"] = lambda count, noun: f"{count} {noun}" if count == 1 else f"{count} {noun}s"
    return made.get_template(_HERE.with_suffix(".html.j2").name)


def _episodes(rows: list[Row]) -> list[Episode]:
    return [list(group) for _, group in groupby(rows, key=lambda row: (row["step"], row["task_id"]))]


def _view(views: dict[str, PageView], env_id: str) -> PageView:
    return views.get(env_id) or PageView()


def _by(key: str, episodes: Iterable[Episode]) -> dict[str, list[Episode]]:
    found: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        found[episode[0][key]].append(episode)
    return dict(sorted(found.items()))


def _summary(episodes: list[Episode]) -> Row:
    rows = [row for episode in episodes for row in episode]
    steps = sorted({row["step"] for row in rows})
    first, last = (
        {"step": step, "reward": _mean([row["reward"] for row in rows if row["step"] == step])}
        for step in (steps[0], steps[-1])
    )
    return {
        "steps": len(steps),
        "tasks": len(episodes),
        "rows": len(rows),
        "first": first,
        "last": last,
        "lag": max(row["policy_lag"] for row in rows),
        "engines": sorted({row["engine"] for row in rows}),
    }


def _table(env: str, episodes: list[Episode], view: PageView) -> Row:
    lines = [_line(kind, mine, view) for kind, mine in _by("kind", episodes).items()]
    return {"env": env, "shares": view.shares, "lines": lines}


def _line(kind: str, episodes: list[Episode], view: PageView) -> Row:
    rows = [row for episode in episodes for row in episode]
    counted = [view.counted(*_scored(row)) for row in rows]
    return {
        "kind": kind,
        "tasks": len(episodes),
        "rows": len(rows),
        "shares": [_mean(column) for column in zip(*counted, strict=True)],
        "reward": _mean([row["reward"] for row in rows]),
        **_turns_of(rows),
    }


def _turns_of(rows: list[Row]) -> Row:
    """How long the episodes are, what could not be read, and how they ended; the most frequent end first."""
    turns, tokens = sum(map(_turn_count, rows)), sum(sum(row.get("step_tokens") or ()) for row in rows)
    known = [row for row in rows if row.get("unread") is not None]
    read = sum(map(_turn_count, known))
    ends = Counter(words(row["ended"]) for row in rows if row.get("ended"))
    return {
        "turns": turns / len(rows),
        "tokens_per_turn": tokens / turns,
        "unread": sum(len(row["unread"]) for row in known) / read if read else None,
        "ends": [(name, count / len(rows)) for name, count in ends.most_common()],
    }


def _scored(row: Row) -> tuple[str, float, bool]:
    """Reason, reward, and whether the task was solved, which runs of before turns did not record."""
    solved = row.get("solved")
    return row["reason"], row["reward"], row["reward"] > 0 if solved is None else solved


def _turn_count(row: Row) -> int:
    return len(row.get("step_tokens") or (0,))


def _article(episode: Episode, view: PageView) -> Row:
    first = episode[0]
    shown = Shown(
        context=first["context"], truth=first["truth"], operators=first["operators"] or (), tier=first["tier"] or ""
    )
    return {
        **{key: first[key] for key in ("step", "kind", "vignette", "source", "task_id")},
        "title": view.task_title,
        "share": view.shares[0],
        "counted": sum(view.counted(*_scored(row))[0] for row in episode),
        "reward": _mean([row["reward"] for row in episode]),
        "outcomes": sorted({row["reason"] for row in episode}),
        "ends": sorted({row.get("ended") or "" for row in episode}),
        "shown": view.task(shown),
        "rollouts": [_rollout(row, view, _mean([one["reward"] for one in episode])) for row in episode],
    }


def _rollout(row: Row, view: PageView, mean: float) -> Row:
    """`beside` is the reward against the mean of the task's replies, which is what a group teaches."""
    components = [
        (key.removeprefix("reward_"), value)
        for key, value in row.items()
        if key.startswith("reward_") and value is not None
    ]
    return {
        "standing": view.standing(*_scored(row)),
        "reason": view.reason(row["reason"]),
        "reward": row["reward"],
        "beside": row["reward"] - mean,
        "components": components,
        "turns": _turns(row, view),
        "count": len(row.get("actions") or (0,)),
        "ended": row.get("ended") or "",
        "finished": row.get("ended") in (None, EndReason.SUBMITTED),
        "oldest": row["policy_version_oldest"],
        "newest": row["policy_version_newest"],
        "lag": row["policy_lag"],
        "engine": row["engine"],
        "tokens": len(row["logps"]),
        "logp": _mean(row["logps"]),
    }


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


def _mean(values: Iterable[Any]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
