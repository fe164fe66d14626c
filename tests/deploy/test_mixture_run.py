"""A run of notes, audits and invented patients together: what it shows of each game, and where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from envs.contract.mixture import Mixture
from envs.contract.registry import environment_of
from envs.contract.reports import measure_key, reports_of
from tests.deploy.test_plan import spec_of

ROOT = Path(__file__).parents[2]
NAME = "mixture_smoke"
SPEC, GAMES = spec_of(NAME), ("verdict", "oversight", "clinic")
STEPS = 2
# Without lag a step's batch holds the next tasks of the plan; otherwise those that are played first, which may all be
# of one turn.
FEWER = ("--steps", f"{STEPS}", "--warm_up.steps", "4", "--buffer.max_lag", "0")
FEWER += ("--evaluation.every", f"{STEPS}", "--evaluation.tasks", "12")
pytestmark = pytest.mark.integration


class Ran(NamedTuple):
    """A run's folder, what its terminal showed, and what was scraped at its last step."""

    folder: Path
    shown: str
    scraped: str

    def gauge(self, name: str, **labels: str) -> float:
        """The scraped value of a series."""
        text = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        (found,) = re.findall(rf"^{name}{{{text}}} (\S+)$", self.scraped, re.MULTILINE)
        return float(found)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    runs = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "deploy.selfplay", f"deploy/specs/{NAME}.yaml", "--runs", str(runs)]
    process = subprocess.Popen(
        [*command, "--metrics.port", "0", *FEWER],
        cwd=ROOT,
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines, url, scraped = list[str](), "", ""
    for line in process.stdout:
        lines.append(line)
        url = line.partition(" ")[2].strip() if line.startswith("metrics: http") else url
        if "  saving the model" in line:
            with urllib.request.urlopen(url, timeout=30) as answer:
                scraped = answer.read().decode()
    assert process.wait(timeout=60) == 0, "".join(lines)[-4000:]
    return Ran(runs / NAME, "".join(lines), scraped)


def rows(ran: Ran) -> list[dict[str, float | None]]:
    return [json.loads(line) for line in (ran.folder / "metrics.jsonl").read_text().splitlines()]


def test_the_screen_has_a_column_and_a_held_out_line_of_each_game(ran: Ran) -> None:
    for column in ("verdict accuracy", "oversight found", "clinic accuracy"):
        assert ran.shown.count(column) >= STEPS + 1, "each step's line, and the table"
    (*_, heldout) = re.findall(r"held-out, policy_version .*", ran.shown)
    for said in ("verdict: flag accuracy ", "oversight: skill -", "clinic: accuracy "):
        assert said in heldout
    assert "oversight: skill -," not in heldout, "a value without an interval is shown"


def test_every_game_was_played_and_its_measures_are_in_each_line_and_in_prometheus(ran: Ran) -> None:
    played = set[str]()
    for env_id, report in reports_of(SPEC).items():
        for measure in report.measures:
            values = [row[measure_key(env_id, measure.name)] for row in rows(ran)]
            if any(value is not None for value in values):
                played.add(env_id)
            if values[-1] is not None:
                gauge = ran.gauge("medserl_env_measure", env=env_id, measure=measure.name)
                assert gauge == pytest.approx(values[-1]), (env_id, measure.name)
        kinds = re.findall(rf'^medserl_tasks_total{{env="{env_id}",kind="[^"]+"}} (\S+)$', ran.scraped, re.MULTILINE)
        assert sum(map(float, kinds)) > 0
    assert played == set(GAMES)


def test_the_page_has_a_table_of_each_game_and_a_timeline_beside_the_turns_of_a_case(ran: Ran) -> None:
    page = (ran.folder / "episodes.html").read_text()
    captions = re.findall(r"<caption>([^<]*)</caption>", page)
    assert set(GAMES) <= set(captions) and page.count('class="beside"') > 0
    assert "Case and answer" in page and "Note and label" in page and "Trial and label" in page


def test_which_game_each_task_is_of_follows_from_the_weights_that_the_folder_keeps(ran: Ran) -> None:
    kept = yaml.safe_load((ran.folder / "spec.yaml").read_text())["envs"]
    assert {one["id"]: one["weight"] for one in kept} == {"verdict": 1, "oversight": 1, "clinic": 2}
    journaled = {}
    for line in (ran.folder / "journal.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["state"] == "ready":
            journaled |= {index: row["labelled"]["task"]["env"] for index in row["indices"]}
    mixture = environment_of(SPEC.envs, SPEC.seed)
    assert isinstance(mixture, Mixture) and len(journaled) >= STEPS * SPEC.learner.batch_groups
    assert journaled == {index: mixture.plan(index).env for index in journaled}
    assert set(journaled.values()) == set(GAMES)
