"""A real Prometheus that scrapes a job every second and evaluates the rules that ship."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import dashboard

SHIPPED = Path("deploy/monitoring/prometheus")
INSTALLED = shutil.which("prometheus") is not None


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def asked(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=10) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def found(self, expression: str, moment: float | None = None) -> list[dict[str, Any]]:
        """A query's result, as of `moment` (seconds since 1970) or now."""
        query = {"query": expression} | ({} if moment is None else {"time": f"{moment}"})
        result: list[dict[str, Any]] = self.asked("query?" + urllib.parse.urlencode(query))["result"]
        return result

    def waited(self, expression: str, seconds: float = 60) -> list[dict[str, Any]]:
        """The first result of a query that is not empty."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                found = self.found(expression)
            except OSError:  # it is still starting
                found = []
            if found:
                return found
            time.sleep(0.5)
        return pytest.fail(f"no data: {expression}")

    def unanswered(self, moment: float | None = None) -> list[str]:
        """The dashboard's queries that have no data, as Grafana asks them when it shows the last minute."""
        shown = {
            query: query.replace(dashboard.WINDOW, "1m").replace("$__range", "1m") for query in dashboard.queries()
        }
        return [query for query, asked in shown.items() if not self.found(asked, moment)]


@contextmanager
def scraping(target: str, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that keeps its data in `folder` and scrapes `target` (host:port)."""
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"] = [{"job_name": "medserl", "static_configs": [{"targets": [target]}]}]
    config["rule_files"] = [str((SHIPPED / "rules.yml").resolve())]
    folder.mkdir(exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with subprocess.Popen([*command, f"--web.listen-address={address}", "--log.level=error"]) as process:
        try:
            yield Prometheus(f"http://{address}")
        finally:
            process.terminate()
