"""A page to read a run's episodes side by side with their labels: one static file, no scripts or styles from outside.

All text of notes, labels and completions is escaped: a completion is whatever the policy wrote.
"""

from __future__ import annotations

import re
from collections import defaultdict
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from common.files import write_whole
from deploy.report.page_note import note, words
from deploy.report.rollout_log import read_run
from evals.core.batch import RIGHT

Row = dict[str, Any]
Episode = list[Row]
"""The rollouts of one task in one step."""

EPISODES = 60
"""Most episodes on a page."""
_REPLY = re.compile(r"\s*<thinking>(.*?)</thinking>\s*<verdict>(.*?)</verdict>\s*", re.DOTALL)
_HIDDEN = {"prompt_ids", "token_ids", "versions"}


def write_page(run_folder: Path) -> Path:
    """Write `episodes.html` from the run's rollouts. Raises ValueError when there are none."""
    table = read_run(run_folder)
    rows = table.drop_columns(sorted(_HIDDEN)).to_pylist()
    episodes = [list(group) for _, group in groupby(rows, key=lambda row: (row["step"], row["task_id"]))]
    chosen = choose(episodes, EPISODES)
    path = run_folder / "episodes.html"
    write_whole(path, _document(run_folder.resolve().name, rows, episodes, chosen).encode())
    return path


def choose(episodes: list[Episode], most: int) -> list[Episode]:
    """At most `most` episodes in step order, in equal shares of the quadrants and evenly over each one's steps."""
    by_quadrant: dict[str, list[int]] = defaultdict(list)
    for number, episode in enumerate(episodes):
        by_quadrant[episode[0]["quadrant"]].append(number)
    chosen: list[int] = []
    quadrants = sorted(by_quadrant.values(), key=len)
    for place, numbers in enumerate(quadrants):
        share = min(len(numbers), (most - len(chosen)) // (len(quadrants) - place))
        chosen += [numbers[k * len(numbers) // share] for k in range(share)]
    return [episodes[number] for number in sorted(chosen)]


def _document(name: str, rows: list[Row], episodes: list[Episode], chosen: list[Episode]) -> str:
    here = Path(__file__)
    style, script = (here.with_suffix(end).read_text(encoding="utf-8") for end in (".css", ".js"))
    left_out = len(episodes) - len(chosen)
    shown = f"All {_plural(len(episodes), 'episode')} are on this page"
    if left_out:
        shown = f"{len(chosen)} of {len(episodes)} episodes are on this page, spread evenly over quadrants and steps; "
        shown += f"{left_out} are left out (rollouts/ has them all)"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(name)}: episodes</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{escape(name)}: episodes</h1>
{_summary(rows, episodes)}
<p class="soft">{shown}.</p>
{_form(chosen)}
</header>
<main>
{"".join(map(_article, chosen))}
</main>
<script>
{script}</script>
</body>
</html>
"""


def _summary(rows: list[Row], episodes: list[Episode]) -> str:
    steps = sorted({row["step"] for row in rows})
    engines = sorted({row["engine"] for row in rows})
    by_step = [_mean([row["reward"] for row in rows if row["step"] == step]) for step in (steps[0], steps[-1])]
    lines = [
        f"{_plural(len(steps), 'learner step')}, {_plural(len(episodes), 'task')}, {_plural(len(rows), 'completion')}. "
        f"Mean reward {by_step[0]:+.2f} in step {steps[0]}, {by_step[1]:+.2f} in step {steps[-1]}.",
        f"Policy lag at most {max(row['policy_lag'] for row in rows)}. Engines: {escape(', '.join(engines))}.",
    ]
    heads = ("Quadrant", "Tasks", "Completions", "Flag right", "Valid", "Mean reward")
    body = "".join(_quadrant_row(quadrant, episodes) for quadrant in sorted({row["quadrant"] for row in rows}))
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return "".join(f"<p>{line}</p>\n" for line in lines) + table


def _quadrant_row(quadrant: str, episodes: list[Episode]) -> str:
    mine = [episode for episode in episodes if episode[0]["quadrant"] == quadrant]
    rows = [row for episode in mine for row in episode]
    cells = (
        words(quadrant),
        str(len(mine)),
        str(len(rows)),
        f"{_mean([row['reason'] in RIGHT for row in rows]):.0%}",
        f"{_mean([_standing(row) != 'none' for row in rows]):.0%}",
        f"{_mean([row['reward'] for row in rows]):+.2f}",
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _form(chosen: list[Episode]) -> str:
    quadrants = sorted({episode[0]["quadrant"] for episode in chosen})
    outcomes = sorted({row["reason"] for episode in chosen for row in episode})
    return (
        "<form hidden><label>Quadrant "
        f"{_select('quadrant', quadrants)}</label><label>With an outcome {_select('outcome', outcomes)}</label>"
        '<span id="shown" class="soft" role="status"></span></form>'
    )


def _select(name: str, values: list[str]) -> str:
    options = "".join(f'<option value="{escape(value)}">{words(value)}</option>' for value in values)
    return f'<select name="{name}"><option value="">all</option>{options}</select>'


def _article(episode: Episode) -> str:
    first = episode[0]
    right = sum(row["reason"] in RIGHT for row in episode)
    outcomes = " ".join(sorted({row["reason"] for row in episode}))
    return f"""<article data-quadrant="{escape(first["quadrant"])}" data-outcomes="{escape(outcomes)}">
<div class="head"><h2>Step {first["step"]}: {words(first["quadrant"])}</h2>
<span>{right} of {len(episode)} flags right, mean reward {_mean([row["reward"] for row in episode]):+.2f}</span>
<span class="soft small">vignette {escape(first["vignette"])}, source {escape(first["source"])},
task {escape(first["task_id"])}</span></div>
<div class="columns">
<section class="note" aria-label="Note and label"><div><h3>Note and label</h3>{_note(first)}</div></section>
<section class="rollouts" aria-label="Completions"><h3>{_plural(len(episode), "completion")}</h3>
{"".join(map(_rollout, episode))}</section>
</div></article>
"""


def _note(row: Row) -> str:
    return note(row["context"], row["truth"], row["operators"], row["tier"])


def _rollout(row: Row) -> str:
    components = ", ".join(
        f"{words(key.removeprefix('reward_'))} {value:+.2f}"
        for key, value in row.items()
        if key.startswith("reward_") and value is not None
    )
    oldest, newest = row["policy_version_oldest"], row["policy_version_newest"]
    versions = f"version {oldest}" if oldest == newest else f"versions {oldest} to {newest}"
    return f"""<div class="rollout {_standing(row)}"><div class="top">
<span class="badge">{words(row["reason"])}</span><strong>{row["reward"]:+.2f}</strong>
<span class="soft small">{components}</span></div>
{_reply(row["completion"])}
<p class="soft small">{versions}, lag {row["policy_lag"]}, {escape(row["engine"])}, {len(row["logps"])} tokens,
mean log-prob {_mean(row["logps"]):.2f}</p></div>
"""


def _reply(completion: str) -> str:
    match = _REPLY.fullmatch(completion)
    if match is None:
        return f"<pre>{escape(completion)}</pre>"
    thinking, verdict = match.groups()
    return f'<p>{escape(thinking.strip())}</p><div class="verdict">{escape(verdict.strip())}</div>'


def _standing(row: Row) -> str:
    """`good`: right; `part`: the flag is right, the rest is not; `bad`: wrong; `none`: no verdict in the reply."""
    reason = row["reason"]
    if reason == "truncated" or reason.startswith("invalid"):
        return "none"
    if reason == "elsewhere":
        return "part"
    return "good" if reason in RIGHT else "bad"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _mean(values: list[Any]) -> float:
    return sum(values) / len(values) if values else 0.0
