from __future__ import annotations

from types import SimpleNamespace

from actors.kv_use import KvUse


def step(use: KvUse, share: float) -> None:
    use.record(SimpleNamespace(kv_cache_usage=share), None, mm_cache_stats=None, engine_idx=0)


def test_a_burst_between_two_heartbeats_is_seen_once() -> None:
    use = KvUse()
    for share in (0.1, 0.9, 0.2):
        step(use, share)
    assert [use.take(), use.take(), use.take()] == [0.9, 0.2, 0.2]


def test_an_engine_that_is_idle_keeps_its_newest_share() -> None:
    use = KvUse()
    step(use, 0.5)
    use.record(None, None)
    step(use, 0.0)
    assert (use.take(), use.take()) == (0.5, 0.0)
