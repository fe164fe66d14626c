from __future__ import annotations

from pathlib import Path

import msgspec

from common.buffer_records import AuthorBatch
from common.config import FilterSpec
from common.metrics import ROYALTIES
from common.records import Authored, Completion, LabelledTask, Sampled
from tests.actors.buffer_world import fill, group, labelled, make, roll

TRY = Authored(
    sampled=Sampled(
        prompt_ids=(7,),
        completions=(
            Completion(text="x", token_ids=(1,), logps=(-1.0,), versions=(0,), finish_reason="stop", engine="e"),
        ),
    )
)
JSON = msgspec.structs.replace(TRY, refused="json")


def written(index: int) -> LabelledTask:
    return msgspec.structs.replace(labelled(index), authored=(JSON, TRY))


async def test_a_trained_scribes_tries_never_reach_a_doctor_or_the_journal(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 2, written)
    assert (await buffer.lease("d")).authored == ()
    assert b"authored" not in (tmp_path / "journal.jsonl").read_bytes()
    plain = make(tmp_path / "plain")
    await fill(plain, 2)
    await plain.lease("d")
    assert (tmp_path / "plain" / "journal.jsonl").read_bytes() == (tmp_path / "journal.jsonl").read_bytes()


async def test_a_try_is_paid_by_the_success_of_the_group_even_when_the_filter_refuses_it(tmp_path: Path) -> None:
    buffer = make(tmp_path, filters=FilterSpec(difficulty=(0.4, 0.6)))
    await fill(buffer, 2, written)
    for totals in ((1.0, 1.0, 1.0, -1.0), (1.0, 1.0, -1.0, -1.0)):
        await buffer.put_group(group(await buffer.lease("d"), totals=totals))
    assert buffer.stats()["rejections"] == {"difficulty": 1}
    counts = buffer.stats()["counts"]
    paid = {label: n for (name, (label,)), n in counts.items() if name == ROYALTIES.name}
    assert paid == {"unverified": 2, "0.8": 1, "0.5": 1}
    batches = [await buffer.take_authored(0) for _ in range(3)]
    assert [[g.rollouts[0].reward.total for g in batch.groups] for batch in batches] == [[0.0, 0.75], [0.0, 1.0], []]
    assert [batch.success_rates for batch in batches] == [(0.75,), (0.5,), ()]


async def test_a_group_that_came_too_late_pays_nothing(tmp_path: Path) -> None:
    buffer = make(tmp_path, batch=1)
    await fill(buffer, 1, written)
    leased = await buffer.lease("d")
    await buffer.return_leases("d")
    assert not await buffer.put_group(group(leased, totals=(1.0, -1.0)))
    assert (await buffer.take_authored(0)).groups == ()


async def test_without_tries_no_batch_of_them_is_ready_and_nothing_waits(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 3)
    await roll(buffer, 2)
    assert await buffer.take_authored(0) == AuthorBatch()
    assert not [name for name, _label in buffer.stats()["counts"] if name == ROYALTIES.name]


async def test_a_try_whose_note_the_doctor_cannot_read_is_never_paid(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 1, written)
    leased = await buffer.lease("d")
    assert await buffer.reject_lease("d", leased.task.task_id, "too_long", "900 tokens")
    counts = {label: n for (name, (label,)), n in buffer.stats()["counts"].items() if name == ROYALTIES.name}
    assert counts == {"unread": 2} and await buffer.take_authored(0) == AuthorBatch()
