"""The reference of the job's metrics: `python -m deploy.monitoring.metrics_reference > docs/metrics.md`.

A test keeps it up to date.
"""

from __future__ import annotations

import argparse

from common.metrics import ALL, RUN, Metric
from deploy.monitoring.dashboard import PANELS

HEAD = """# Metrics

Made by `python -m deploy.monitoring.metrics_reference` from `common/metrics.py`. The job serves them on `metrics.port`
(9464). All series exist, at zero, from the first scrape; those of a game, with the measures, kinds, stages and reasons
that it declares (`envs/contract/report.py`). Counters are sums over all actors, replaced ones included, so they never
decrease; read them with `rate()`. The dashboard is `deploy/monitoring/grafana/medserl.json`, the alert rules are
`deploy/monitoring/prometheus/rules.yml`.

| metric | kind | labels | what it says | panel |
|---|---|---|---|---|
"""


def page() -> str:
    """The page, Markdown."""
    return HEAD + "".join(_row(metric) for metric in sorted(ALL, key=lambda metric: metric.name))


def _row(metric: Metric) -> str:
    labels = [f"`{label}`: {', '.join(values) or _free(metric)}" for label, values in _labels(metric)]
    panels = [panel.title for panel in PANELS if any(metric.name in _names(query) for query, _ in panel.queries)]
    help_ = metric.help.replace("|", r"\|")  # a bar would end the cell
    return f"| `{metric.name}` | {metric.kind} | {'; '.join(labels) or '-'} | {help_} | {', '.join(panels)} |\n"


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
