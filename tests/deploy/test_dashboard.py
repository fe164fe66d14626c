from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from common import metrics
from common.metrics import ALL, Board
from deploy import dashboard, metrics_page

PROMETHEUS = Path("deploy/prometheus")
DECLARED = {metric.name: metric for metric in ALL}
SERIES = re.compile(r"(medserl_\w+)(?:\{([^}]*)\})?")
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]]
QUERIES = [*dashboard.queries(), *(rule["expr"] for rule in RULES)]


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_is_about_declared_series_and_their_labels(query: str) -> None:
    series = SERIES.findall(query)
    assert series
    labels = {DECLARED[name].label for name, _ in series}
    for name, matchers in series:
        for label, value in re.findall(r'(\w+)="([^"]*)"', matchers):
            assert label == DECLARED[name].label and value in DECLARED[name].values
    assert set(re.findall(r"by \((\w+)\)", query)) <= labels


@pytest.mark.parametrize("query", QUERIES)
def test_counters_are_read_as_rates_and_gauges_as_they_are(query: str) -> None:
    for name, _ in SERIES.findall(query):
        in_a_rate = re.search(rf"(rate|increase)\({name}\b", query) is not None
        assert in_a_rate == (DECLARED[name].kind == "counter"), query


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for query in dashboard.queries() for name, _ in SERIES.findall(query)}
    assert shown == DECLARED.keys()


def test_the_dashboard_file_is_what_the_script_prints() -> None:
    assert json.loads(Path("deploy/grafana/medserl.json").read_text()) == dashboard.dashboard()


def test_panels_do_not_overlap_and_read_the_provisioned_datasource() -> None:
    panels = dashboard.dashboard()["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)
    file = Path("deploy/grafana/provisioning/datasources/prometheus.yml")
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    assert {rule["alert"] for rule in RULES} >= {"NoProgress", "LagAtTheBound", "SyncFailing", "FlagRateOutOfBand"}
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "action"} and rule["labels"]["severity"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_config_and_rules() -> None:
    command = ["promtool", "check", "config", str(PROMETHEUS / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    tested = subprocess.run(
        ["promtool", "test", "rules", "tests/deploy/rules_test.yml"], capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    cases = yaml.safe_load(Path("tests/deploy/rules_test.yml").read_text())["tests"]
    fired = {test["alertname"] for case in cases for test in case["alert_rule_test"] if test.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in RULES}


def busy_board() -> Board:
    """A board on which a run has left something everywhere."""
    board = Board()
    for metric in ALL:
        for value in metric.values or ("",):
            if metric.kind == "counter":
                board.add(metric.name, 3, value)
            else:
                board.set(metric, 0.5, value)
    return board


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[tuple[str, Board]]:
    """A real Prometheus that scrapes a real exporter every second."""
    board = busy_board()
    target = f"127.0.0.1:{board.serve(0, '127.0.0.1')}"
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"] = [{"job_name": "medserl", "static_configs": [{"targets": [target]}]}]
    config["rule_files"] = [str((PROMETHEUS / "rules.yml").resolve())]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with subprocess.Popen([*command, f"--web.listen-address={address}", "--log.level=error"]) as process:
        yield f"http://{address}", board
        process.terminate()


def asked(server: str, path: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{server}/api/v1/{path}", timeout=10) as answer:
        data: dict[str, object] = json.load(answer)["data"]
    return data


def waited(server: str, expression: str, seconds: float = 60) -> object:
    """The first result of a query that is not empty."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = asked(server, "query?" + urllib.parse.urlencode({"query": expression}))["result"]
        except OSError:  # it is still starting
            found = None
        if found:
            return found
        time.sleep(0.5)
    return pytest.fail(f"no data: {expression}")


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")
def test_a_real_prometheus_answers_every_panel_and_fires_the_alerts(prometheus: tuple[str, Board]) -> None:
    server, board = prometheus
    for query in dashboard.queries():
        assert waited(server, query.replace(dashboard.WINDOW, "1m").replace("$__range", "1m"))
    board.set(metrics.POLICY_LAG, 3)
    board.set(metrics.FLAG_ALARM, 1)
    for alert in ("LagBeyondTheBound", "FlagRateOutOfBand"):
        waited(server, f'ALERTS{{alertname="{alert}", alertstate="firing"}}')
    health = {rule["name"]: rule["health"] for group in asked(server, "rules")["groups"] for rule in group["rules"]}  # type: ignore[attr-defined]
    assert health == {rule["alert"]: "ok" for rule in RULES}


def test_the_metrics_page_is_what_the_script_prints() -> None:
    text = Path("docs/metrics.md").read_text()
    assert text == metrics_page.page()
    assert all(f"| `{metric.name}` | {metric.kind} |" in text for metric in ALL)
