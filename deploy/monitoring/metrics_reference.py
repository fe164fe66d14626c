"""The reference of the job's metrics: `python -m deploy.monitoring.metrics_reference > docs/metrics.md`.

A test keeps it up to date.
"""

from __future__ import annotations

import argparse

from common.metrics import ALL, RUN, Metric
from deploy.monitoring.dashboard import PANELS, WINDOW

BAR = r"\|"  # a bar would end the cell
HEAD = """# Metrics

Made by `python -m deploy.monitoring.metrics_reference` from `common/metrics.py`. The job serves them on `metrics.port`
(9464). All series exist, at zero, from the first scrape; those of a game, with the measures, kinds, stages and reasons
that it declares (`envs/contract/report.py`). Counters are sums over all actors, replaced ones included, so they never
decrease; read them with `rate()`. The dashboard is `deploy/monitoring/grafana/medserl.json`, the alert rules are
`deploy/monitoring/prometheus/rules.yml`.

In the order of the dashboard's panels; `query` is what to type into Prometheus.

| panel | metric | kind | labels | what it says | query |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The page, Markdown."""
    return HEAD + "".join(_row(metric) for metric in sorted(ALL, key=lambda metric: (_place(metric), metric.name)))


def _row(metric: Metric) -> str:
    labels = [f"`{label}`: {', '.join(values) or _free(metric)}" for label, values in _labels(metric)]
    titles = ", ".join(PANELS[number].title for number, _ in _panels(metric))
    query = next((f"`{query}`" for _, query in _panels(metric)), f"`{metric.name}`")
    cells = titles, f"`{metric.name}`", metric.kind, "; ".join(labels) or "-", metric.help, _typed(query)
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |\n"


def _place(metric: Metric) -> int:
    return next((number for number, _ in _panels(metric)), len(PANELS))


def _panels(metric: Metric) -> list[tuple[int, str]]:
    """(number of the panel, the first query in it) of each panel that shows the metric."""
    shown: dict[int, str] = {}
    for number, panel in enumerate(PANELS):
        for query, _ in panel.queries:
            if metric.name in _names(query):
                shown.setdefault(number, query)
    return list(shown.items())


def _typed(query: str) -> str:
    """Prometheus itself does not know Grafana's variables."""
    return query.replace(WINDOW, "5m").replace("$__range", "1h")


def _free(metric: Metric) -> str:
    return "of the job" if metric is RUN else "declared by the game"


def _labels(metric: Metric) -> list[tuple[str, tuple[str, ...]]]:
    return list(zip(metric.labels, metric.known, strict=True))


def _names(query: str) -> list[str]:
    return query.translate(str.maketrans("()[]{}", "      ")).split()


def main() -> None:
    """Print the page."""
    argparse.ArgumentParser("python -m deploy.monitoring.metrics_reference", description=main.__doc__).parse_args()
    print(page(), end="")


if __name__ == "__main__":
    main()
