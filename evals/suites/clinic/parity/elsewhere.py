"""HG30, HG42 and HG43: what needs a training run, or another machine."""

from __future__ import annotations

from evals.core.parity import Elsewhere

ROWS = (
    Elsewhere(
        "HG30",
        "training over several turns, one domain or several, without the tools' tokens in the loss",
        (
            "medserl selfplay clinic_smoke",
            "medserl selfplay mixture_smoke",
            "tests/deploy/test_mixture_run.py",
            "tests/envs/clinic/test_environment.py::test_the_clinic_is_played_beside_other_games",
        ),
        "a run trains for minutes; that a model learns more than the easiest triage is not shown (docs/benchmarks.md)",
    ),
    Elsewhere(
        "HG42",
        "configurations that start a run: one GPU, a CPU, a smoke run",
        ("medserl plan clinic_4090", "medserl plan clinic_triage", "medserl selfplay clinic_smoke"),
        "planned on a machine without a GPU; nothing was run on one",
    ),
    Elsewhere(
        "HG43",
        "everything but training runs on a CPU",
        ("make test", "medserl eval --suite clinic --baselines", "medserl parity"),
        "all tests and checks of the clinic run without a GPU",
    ),
)
