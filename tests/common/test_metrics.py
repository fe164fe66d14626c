from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import metrics
from common.metrics import ALL, COMPLETIONS, LEARNER_STEPS, REWARD, ROYALTIES, SYNCS, TASKS, Board, Meter, Metric


def scrape(board: Board) -> dict[str, float]:
    """The served text: series with its labels -> value."""
    port = board.serve(0, "127.0.0.1")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def _series(metric: Metric, values: tuple[str, ...]) -> str:
    """The name under which Prometheus serves a series; labels are sorted there."""
    labels = ",".join(f'{label}="{value}"' for label, value in sorted(zip(metric.labels, values, strict=True)))
    return f"{metric.name}{{{labels}}}" if labels else metric.name


def test_every_declared_series_is_there_at_zero_from_the_first_scrape() -> None:
    series = scrape(Board())
    for metric in ALL:
        names = [_series(metric, values) for values in metric.series]
        assert [series[name] for name in names] == [0.0] * len(names)


def test_series_that_a_run_declares_are_there_at_zero_too() -> None:
    board = Board()
    assert _series(TASKS, ("game", "kind")) not in scrape(board)
    board.expect(TASKS, "game", "kind")
    assert scrape(board)[_series(TASKS, ("game", "kind"))] == 0.0


def test_series_with_several_labels_are_counted_apart() -> None:
    board = Board()
    board.add(TASKS.name, 2, "one", "easy")
    board.add(TASKS.name, 3, "other", "easy")
    assert (board.total(TASKS, "one", "easy"), board.total(TASKS, "other", "easy")) == (2, 3)
    assert board.total(TASKS, "one", "hard") == 0


def test_counts_and_gauges_are_served_as_prometheus_text() -> None:
    board = Board()
    board.merge("pool", {(COMPLETIONS.name, ("doctor",)): 8})
    board.add(LEARNER_STEPS.name)
    board.set(REWARD, -0.25)
    series = scrape(board)
    assert series['medserl_completions_total{role="doctor"}'] == 8
    assert series["medserl_learner_steps_total"] == 1 and series["medserl_reward_mean"] == -0.25


def test_a_taken_port_is_an_os_error() -> None:
    port = Board().serve(0, "127.0.0.1")
    with pytest.raises(OSError, match="in use"):
        Board().serve(port, "127.0.0.1")


def test_names_follow_the_prometheus_conventions() -> None:
    for metric in ALL:
        assert metric.name.startswith("medserl_") and metric.help.endswith(".")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert len({metric.name for metric in ALL}) == len(ALL)


@given(reports=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=30))
def test_the_sum_over_reborn_actors_never_falls_and_loses_nothing_that_was_reported(
    reports: list[tuple[bool, int]],
) -> None:
    board, meter, birth, counted, last = Board(), Meter(), 0, 0, 0.0
    for reborn, amount in reports:
        if reborn:
            birth, meter = birth + 1, Meter()
        meter.add(ROYALTIES, amount, "stale")
        counted += amount
        board.merge(f"scribe-0.{birth}", meter.counts())
        total = board.total(ROYALTIES, "stale")
        assert total >= last
        last = total
    assert last == counted
    assert board.registry.get_sample_value(ROYALTIES.name, {"outcome": "stale"}) == counted


def test_a_repeated_or_late_heartbeat_counts_once() -> None:
    board, meter = Board(), Meter()
    meter.add(SYNCS, 2, "ok")
    board.merge("a", meter.counts())
    board.merge("a", meter.counts())
    assert board.total(SYNCS, "ok") == 2


@pytest.mark.parametrize("named", [("buffer",), ()])
def test_an_actor_that_takes_a_name_over_counts_from_0_once_the_name_is_forgotten(named: tuple[str, ...]) -> None:
    board = Board()
    for total in (5, 3):
        board.forget(*named)
        board.merge("buffer", {(SYNCS.name, ("ok",)): total})
    assert board.total(SYNCS, "ok") == 8


def test_two_actors_counts_add_up() -> None:
    board = Board()
    board.merge("a", {(ROYALTIES.name, ("unread",)): 2})
    board.merge("b", {(ROYALTIES.name, ("unread",)): 3})
    assert board.total(ROYALTIES, "unread") == 5 and board.total(ROYALTIES, "stale") == 0


def test_a_reason_that_was_not_declared_is_still_counted() -> None:
    board = Board()
    board.merge("buffer", {(metrics.REJECTED.name, ("verifier",)): 1})
    assert board.total(metrics.REJECTED, "verifier") == 1


def test_a_meter_refuses_gauges_and_wrong_labels() -> None:
    for arguments in ((REWARD, 1), (ROYALTIES, 1), (TASKS, 1, "one label"), (LEARNER_STEPS, 1, "ok")):
        with pytest.raises(AssertionError):
            Meter().add(*arguments)


def test_metrics_with_a_token_are_read_by_those_who_send_it_only() -> None:
    port = Board().serve(0, "127.0.0.1", token="s3cret")

    def get(**headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    assert get() == get(Authorization="Bearer wrong") == get(Authorization="s3cret") == (401, b"")
    assert get(Authorization="Bearer s3cret\xff") == (401, b"")
    status, text = get(Authorization="Bearer s3cret")
    assert status == 200 and b"medserl_learner_steps_total" in text
