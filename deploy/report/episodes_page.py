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

from common.files import Lines, read_text, write_whole
from common.learner_sections import LearnerSpec
from deploy.report import steps as logged
from deploy.report.advantages import Rollout, advantages
from deploy.report.article import article, mean, scored, turn_count
from deploy.report.episode_choice import Episode, Place, Row, by_task, choose, early_and_late, episodes_of, place
from deploy.report.rollout_tables import joined, read_episodes, read_heldout, read_steps
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
    """Write `episodes.html`, see `page`. Raises ValueError when there is no rollout."""
    path = run_folder / "episodes.html"
    write_whole(path, page(run_folder, reports, learner).encode())
    return path


def page(run_folder: Path, reports: Reports, learner: LearnerSpec | None = None) -> str:
    """The page as HTML; without `learner` it shows no advantages. What is damaged is left out, and named on it.

    Raises ValueError when there is no rollout, or none that can be read.
    """
    steps = read_steps(run_folder, _NARROW)
    episodes = episodes_of(joined(steps).to_pylist())
    if not episodes:
        raise ValueError(f"{run_folder}: no episode in its rollouts yet; look again after the first step")
    views = {env_id: report.view for env_id, report in reports.items()}
    chosen = [place(episode) for episode in choose(episodes, EPISODES)]
    pairs = [(place(early), place(late)) for early, late in early_and_late(episodes, PAIRS)]
    wanted = {*chosen, *(one for pair in pairs for one in pair)}
    known = _Articles(run_folder, views, wanted, {} if learner is None else _advantages(episodes, wanted, learner))
    heldout, heldout_damaged = _heldout(run_folder)
    tested, untold = _articles(choose(heldout, HELDOUT), views, {})
    rows = [row for episode in (*episodes, *heldout) for row in episode]
    several = any(turn_count(row) > 1 for row in rows)
    shown = [row for at in wanted if at in known.articles for row in known.rows[at]] + [
        row for episode in heldout for row in episode
    ]
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
            left_out=len(episodes) - len(known.all(chosen)),
            damaged=list(dict.fromkeys([*steps.damaged, *known.damaged, *heldout_damaged, *untold])),
            kinds=sorted({(row["kind"], words(row["kind"])) for row in shown}),
            outcomes=sorted({(row["reason"], _view(views, row["env"]).reason(row["reason"])) for row in shown}),
            episodes=known.all(chosen),
            pairs=[both for pair in pairs if len(both := known.all(pair)) == 2],
            heldout=tested,
            heldout_tasks=len(heldout),
            penalised=learner is not None and learner.kl_coef > 0 and learner.kl_estimator == "k1",
        )
    )


class _Articles:
    """The episodes whose texts were read, by step and task; `damaged` has a line about each that could not be."""

    def __init__(
        self,
        run_folder: Path,
        views: Mapping[str, PageView],
        wanted: Iterable[Place],
        advantages_of: Mapping[int, Mapping[Rollout, float]],
    ) -> None:
        read = read_episodes(run_folder, sorted(wanted))
        found = _visible(read)
        made, damaged = _articles(found, views, advantages_of)
        self.rows = {place(episode): episode for episode in found}
        self.articles = {(one["step"], one["task_id"]): one for one in made}
        self.damaged = [*read.damaged, *damaged]

    def all(self, places: Iterable[Place]) -> list[Row]:
        """Those of these, for the template, that could be read."""
        return [self.articles[at] for at in places if at in self.articles]


def _articles(
    episodes: Iterable[Episode], views: Mapping[str, PageView], advantages_of: Mapping[int, Mapping[Rollout, float]]
) -> Lines[Row]:
    """Each episode as the template takes it; one whose task its game cannot read is left out."""
    found, damaged = list[Row](), list[str]()
    for episode in episodes:
        step, task_id = place(episode)
        try:
            found.append(article(episode, _view(views, episode[0]["env"]), advantages_of.get(step, {})))
        except ValueError as error:
            why = " ".join(str(error).split())
            damaged.append(f"step {step}, task {task_id}: left out, it is damaged ({why:.200})")
    return Lines(found, damaged)


def _visible(read: Lines[Any]) -> list[Episode]:
    """The episodes of tables, without what no page shows."""
    if not read.found:
        return []
    table = joined(read)
    hidden = [name for name in table.column_names if name in _HIDDEN]  # runs of before turns lack some
    return episodes_of(table.drop_columns(hidden).to_pylist())


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


def _heldout(run_folder: Path) -> tuple[list[Episode], list[str]]:
    """The replies to each held-out task, the first version first, and a line about each file that is damaged."""
    read = read_heldout(run_folder)
    rows = [row for episode in _visible(read) for row in episode]
    return by_task(rows, VERSIONS) if rows else [], read.damaged


def _alarms(run_folder: Path, reports: Reports) -> list[Row]:
    rows = logged.read_steps(run_folder).found
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
