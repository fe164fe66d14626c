from __future__ import annotations

import asyncio

import pytest

from deploy.job.waiting import both, under


class Work:
    """Ends when told to, or with `error`; knows whether it was cancelled."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.may_end, self.done, self.cancelled = asyncio.Event(), False, False

    async def __call__(self) -> None:
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self._error:
            raise self._error
        self.done = True


async def test_both_waits_for_the_slower_one() -> None:
    one, other = Work(), Work()
    waiting = asyncio.ensure_future(both(one(), other()))
    one.may_end.set()
    await asyncio.sleep(0.01)
    assert one.done and not waiting.done()
    other.may_end.set()
    await waiting
    assert other.done


@pytest.mark.parametrize("first", [True, False])
async def test_what_one_of_both_raises_ends_the_other(first: bool) -> None:
    failing, other = Work(ValueError("no such checkpoint")), Work()
    waiting = both(failing(), other()) if first else both(other(), failing())
    failing.may_end.set()
    with pytest.raises(ValueError, match="no such checkpoint"):
        await waiting
    await asyncio.sleep(0)
    assert other.cancelled


async def test_work_under_a_watch_ends_with_the_watch_that_cannot_continue() -> None:
    watch, work = Work(RuntimeError("gave up")), Work()
    watch.may_end.set()
    with pytest.raises(RuntimeError, match="gave up"):
        await under(asyncio.ensure_future(watch()), work())
    await asyncio.sleep(0)
    assert work.cancelled


async def test_work_under_a_watch_that_continues_ends_by_itself() -> None:
    watching, work = asyncio.ensure_future(Work()()), Work()
    work.may_end.set()
    await under(watching, work())
    assert work.done and not watching.done()
    watching.cancel()
