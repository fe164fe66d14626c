from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from common import metrics
from common.metrics import ALL, Board
from deploy.monitoring import dashboard, metrics_reference
from tests.deploy.monitoring.prometheus_world import INSTALLED, SHIPPED, scraping

DECLARED = {metric.name: metric for metric in ALL}
SERIES = re.compile(r"(medserl_\w+)(?:\{([^}]*)\})?")
RULES = [rule for group in yaml.safe_load((SHIPPED / "rules.yml").read_text())["groups"] for rule in group["rules"]]
QUERIES = [*dashboard.queries(), *(rule["expr"] for rule in RULES)]


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_is_about_declared_series_and_their_labels(query: str) -> None:
    series = SERIES.findall(query)
    assert series
    labels = {label for name, _ in series for label in DECLARED[name].labels}
    for name, matchers in series:
        for label, value in re.findall(r'(\w+)="([^"]*)"', matchers):
            known = dict(zip(DECLARED[name].labels, DECLARED[name].known, strict=True))
            assert value in known[label]
    grouped = {label for names in re.findall(r"by \(([\w, ]+)\)", query) for label in names.split(", ")}
    assert grouped <= labels


@pytest.mark.parametrize("query", QUERIES)
def test_counters_are_read_as_rates_and_gauges_as_they_are(query: str) -> None:
    for name, _ in SERIES.findall(query):
        in_a_rate = re.search(rf"(rate|increase)\({name}\b", query) is not None
        assert in_a_rate == (DECLARED[name].kind == "counter"), query


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for query in dashboard.queries() for name, _ in SERIES.findall(query)}
    assert shown == DECLARED.keys()


def test_the_dashboard_file_is_what_the_script_prints() -> None:
    assert json.loads(Path("deploy/monitoring/grafana/medserl.json").read_text()) == dashboard.dashboard()


def test_panels_do_not_overlap_and_read_the_provisioned_datasource() -> None:
    panels = dashboard.dashboard()["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)
    file = Path("deploy/monitoring/grafana/provisioning/datasources/prometheus.yml")
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    assert {rule["alert"] for rule in RULES} >= {"NoProgress", "LagAtTheBound", "SyncFailing", "GameAlarm"}
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "action"} and rule["labels"]["severity"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_config_and_rules() -> None:
    command = ["promtool", "check", "config", str(SHIPPED / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    tested = subprocess.run(
        ["promtool", "test", "rules", "tests/deploy/monitoring/rules_test.yml"], capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    cases = yaml.safe_load(Path("tests/deploy/monitoring/rules_test.yml").read_text())["tests"]
    fired = {test["alertname"] for case in cases for test in case["alert_rule_test"] if test.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in RULES}


def busy_board() -> Board:
    """A board on which a run has left something everywhere."""
    board = Board()
    for metric in ALL:
        for values in metric.series or (tuple(known[0] if known else "some" for known in metric.known),):
            if metric.kind == "counter":
                board.add(metric.name, 3, *values)
            else:
                board.set(metric, 0.5, *values)
    return board


@pytest.mark.integration
@pytest.mark.skipif(not INSTALLED, reason="Prometheus is not installed")
def test_a_real_prometheus_answers_every_panel_and_fires_the_alerts(tmp_path: Path) -> None:
    board = busy_board()
    with scraping(f"127.0.0.1:{board.serve(0, '127.0.0.1')}", tmp_path) as prometheus:
        prometheus.waited("rate(medserl_learner_steps_total[1m])")
        assert not prometheus.unanswered()
        board.set(metrics.POLICY_LAG, 3)
        board.set(metrics.ENV_ALARM, 1, "verdict")
        for alert in ("LagBeyondTheBound", "GameAlarm"):
            prometheus.waited(f'ALERTS{{alertname="{alert}", alertstate="firing"}}')
        groups = prometheus.asked("rules")["groups"]
        health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        assert health == {rule["alert"]: "ok" for rule in RULES}


def test_the_metrics_page_is_what_the_script_prints() -> None:
    text = Path("docs/metrics.md").read_text()
    assert text == metrics_reference.page()
    assert all(f"| `{metric.name}` | {metric.kind} |" in text for metric in ALL)
