"""A page to read a run's episodes with their labels: one static file, no scripts or styles from outside.

Tasks and replies are shown as their game shows them. All text is escaped: a completion is whatever the policy wrote.
Only narrow columns are read of all rollouts; texts are read only for the episodes on the page.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from common.files import read_text, write_whole
from common.sections import LearnerSpec
from deploy.report.advantages import Rollout, advantages
from deploy.report.article import article, mean, scored, turn_count
from deploy.report.episode_choice import Episode, Place, Row, by_task, choose, early_and_late, episodes_of, place
from deploy.report.rollout_log import read_episodes, read_heldout, read_run
from deploy.report.steps import read_steps
from envs.contract.page_view import PageView, words
from envs.contract.reports import Reports, alarm_spans

EPISODES = 60
"""Maximum episodes on a page."""
PAIRS = 4
"""Maximum vignettes that are shown early and late."""
HELDOUT, VERSIONS = 12, 4
"""Maximum held-out tasks on a page, and versions whose replies to one are shown."""
_NARROW = (
    "step",
    "task_id",
    "rollout",
    "env",
    "kind",
    "vignette",
    "reason",
    "reward",
    "solved",
    "policy_lag",
    "engine",
    "ended",
    "unread",
    "step_tokens",
    "potentials",
)
_HIDDEN = {"prompt_ids", "token_ids", "versions", "observed_ids", "observed_tokens", "replies"}
_HERE = Path(__file__)


def write_page(run_folder: Path, reports: Reports, learner: LearnerSpec | None = None) -> Path:
    """Write `episodes.html` from the run's rollouts. Raises ValueError when there are none."""
    path = run_folder / "episodes.html"
    write_whole(path, page(run_folder, reports, learner).encode())
    return path


def page(run_folder: Path, reports: Reports, learner: LearnerSpec | None = None) -> str:
    """The page as HTML; without `learner` it shows no advantages. Raises ValueError when there is no rollout."""
    episodes = episodes_of(read_run(run_folder, _NARROW).to_pylist())
    views = {env_id: report.view for env_id, report in reports.items()}
    chosen = [place(episode) for episode in choose(episodes, EPISODES)]
    pairs = [(place(early), place(late)) for early, late in early_and_late(episodes, PAIRS)]
    wanted = {*chosen, *(one for pair in pairs for one in pair)}
    known = _Articles(run_folder, views, wanted, {} if learner is None else _advantages(episodes, wanted, learner))
    heldout = _heldout(run_folder)
    rows = [row for episode in (*episodes, *heldout) for row in episode]
    several = any(turn_count(row) > 1 for row in rows)
    shown = [row for at in wanted for row in known.rows[at]] + [row for episode in heldout for row in episode]
    return str(
        _template().render(
            name=run_folder.resolve().name,
            style=Markup(read_text(_HERE.with_suffix(".css"))),
            script=Markup(read_text(_HERE.with_suffix(".js"))),
            summary=_summary(episodes),
            several=several,
            noun="episode" if several else "completion",
            legend=list(dict.fromkeys(line for view in views.values() for line in view.legend)),
            alarms=_alarms(run_folder, reports),
            tables=[_table(env, mine, _view(views, env)) for env, mine in _by("env", episodes).items()],
            endings=sorted({(row["ended"], words(row["ended"])) for row in rows if row.get("ended")})
            if several
            else [],
            left_out=len(episodes) - len(chosen),
            kinds=sorted({(row["kind"], words(row["kind"])) for row in shown}),
            outcomes=sorted({(row["reason"], _view(views, row["env"]).reason(row["reason"])) for row in shown}),
            episodes=[known.of(at) for at in chosen],
            pairs=[(known.of(early), known.of(late)) for early, late in pairs],
            heldout=[article(episode, _view(views, episode[0]["env"]), {}) for episode in choose(heldout, HELDOUT)],
            heldout_tasks=len(heldout),
            penalised=learner is not None and learner.kl_coef > 0 and learner.kl_estimator == "k1",
        )
    )


class _Articles:
    """The episodes whose texts were read, by step and task."""

    def __init__(
        self,
        run_folder: Path,
        views: Mapping[str, PageView],
        wanted: Iterable[Place],
        advantages_of: Mapping[int, Mapping[Rollout, float]],
    ) -> None:
        self._views, self._advantages = views, advantages_of
        table = read_episodes(run_folder, sorted(wanted))
        hidden = [name for name in table.column_names if name in _HIDDEN]  # runs of before turns lack some
        found = episodes_of(table.drop_columns(hidden).to_pylist())
        self.rows = {place(episode): episode for episode in found}

    def of(self, at: Place) -> Row:
        """One of them, for the template."""
        episode = self.rows[at]
        return article(episode, _view(self._views, episode[0]["env"]), self._advantages.get(at[0], {}))


def _advantages(
    episodes: Sequence[Episode], wanted: Iterable[Place], learner: LearnerSpec
) -> dict[int, dict[Rollout, float]]:
    """By step: they are normalised over all rollouts of a step."""
    steps = {step for step, _ in wanted}
    return {
        step: advantages([row for episode in mine for row in episode], learner)
        for step, mine in groupby(episodes, key=lambda episode: episode[0]["step"])
        if step in steps
    }


def _heldout(run_folder: Path) -> list[Episode]:
    """The replies to each held-out task, the first version first."""
    table = read_heldout(run_folder)
    if table is None:
        return []
    return by_task(table.drop_columns([name for name in table.column_names if name in _HIDDEN]).to_pylist(), VERSIONS)


def _alarms(run_folder: Path, reports: Reports) -> list[Row]:
    rows = read_steps(run_folder).found
    return [
        {"env": env_id if len(reports) > 1 else "", "first": span.first, "last": span.last, "text": span.text}
        for env_id, report in reports.items()
        for span in alarm_spans(env_id, report, rows)
    ]


@cache
def _template() -> Any:
    made = Environment(loader=FileSystemLoader(_HERE.parent), autoescape=True, undefined=StrictUndefined)
    made.filters["words"] = words
    made.filters["plural"] = lambda count, noun: f"{count} {noun}" if count == 1 else f"{count} {noun}s"
    return made.get_template(_HERE.with_suffix(".html.j2").name)


def _view(views: Mapping[str, PageView], env_id: str) -> PageView:
    return views.get(env_id) or PageView()


def _by(key: str, episodes: Iterable[Episode]) -> dict[str, list[Episode]]:
    found: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        found[episode[0][key]].append(episode)
    return dict(sorted(found.items()))


def _summary(episodes: Sequence[Episode]) -> Row:
    rows = [row for episode in episodes for row in episode]
    steps = sorted({row["step"] for row in rows})
    first, last = (
        {"step": step, "reward": mean(row["reward"] for row in rows if row["step"] == step)}
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
    counted = [view.counted(*scored(row)) for row in rows]
    return {
        "kind": kind,
        "tasks": len(episodes),
        "rows": len(rows),
        "shares": [mean(column) for column in zip(*counted, strict=True)],
        "reward": mean(row["reward"] for row in rows),
        **_turns_of(rows),
    }


def _turns_of(rows: list[Row]) -> Row:
    """How long the episodes are, what could not be read, and how they ended; the most frequent end first."""
    turns, tokens = sum(map(turn_count, rows)), sum(sum(row.get("step_tokens") or ()) for row in rows)
    known = [row for row in rows if row.get("unread") is not None]
    read = sum(map(turn_count, known))
    ends = Counter(words(row["ended"]) for row in rows if row.get("ended"))
    return {
        "turns": turns / len(rows),
        "tokens_per_turn": tokens / turns,
        "unread": sum(len(row["unread"]) for row in known) / read if read else None,
        "ends": [(name, count / len(rows)) for name, count in ends.most_common()],
    }
