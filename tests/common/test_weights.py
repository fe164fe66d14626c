from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.weights import ALIGNMENT, Canary, Manifest, SegmentWriter, SyncOutcome, TensorEntry, checksum


def write(path: Path, blobs: list[bytes]) -> Manifest:
    writer = SegmentWriter(path)
    for number, blob in enumerate(blobs):
        writer.add(f"w{number}", "uint8", (len(blob),), memoryview(blob))
    return writer.close()


@given(blobs=st.lists(st.binary(max_size=200), min_size=1, max_size=6))
def test_every_tensor_is_read_back_from_its_aligned_range(
    tmp_path_factory: pytest.TempPathFactory, blobs: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("segment") / "weights"
    manifest = write(path, blobs)
    held = path.read_bytes()
    for entry, blob in zip(manifest.tensors, blobs, strict=True):
        assert held[entry.offset : entry.offset + entry.nbytes] == blob
        assert entry.offset % ALIGNMENT == 0 and entry.crc32 == zlib.crc32(blob)
    assert manifest.checksum == checksum(manifest.tensors)


@given(
    blobs=st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4),
    where=st.integers(0, 10**6),
    bit=st.integers(0, 7),
)
def test_one_flipped_bit_changes_a_crc32(
    tmp_path_factory: pytest.TempPathFactory, blobs: list[bytes], where: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("segment") / "weights"
    manifest = write(path, blobs)
    entry = manifest.tensors[where % len(blobs)]
    data = bytearray(path.read_bytes()[entry.offset : entry.offset + entry.nbytes])
    data[where % len(data)] ^= 1 << bit
    assert zlib.crc32(data) != entry.crc32


def test_a_segment_is_written_over_the_one_before_in_the_same_memory(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    write(path, [b"a longer one"])
    before = path.stat().st_ino
    write(path, [b"new"])
    assert path.read_bytes() == b"new" and path.stat().st_ino == before


def test_two_runs_whose_names_share_a_dotted_start_write_apart(tmp_path: Path) -> None:
    first, second = SegmentWriter(tmp_path / "medserl-exp.1-weights"), SegmentWriter(tmp_path / "medserl-exp.2-weights")
    first.add("w", "uint8", (1,), memoryview(b"1"))
    second.add("w", "uint8", (1,), memoryview(b"2"))
    assert Path(first.close().path).read_bytes() == b"1" and Path(second.close().path).read_bytes() == b"2"


def test_the_checksum_depends_on_names_bytes_and_order() -> None:
    def entry(name: str, crc: int) -> TensorEntry:
        return TensorEntry(name=name, dtype="uint8", shape=(1,), offset=0, nbytes=1, crc32=crc)

    a, b = entry("a", 1), entry("b", 2)
    sums = {checksum(entries) for entries in ([a, b], [b, a], [a], [entry("c", 1), b], [entry("a", 9), b])}
    assert len(sums) == 5 and all(len(total) == 8 for total in sums)


def test_the_gap_is_the_mean_absolute_difference() -> None:
    canary = Canary(token_ids=(1, 2, 3), logps=(-1.0, -2.0))
    assert canary.gap((-1.0, -2.0)) == 0
    assert canary.gap((-1.5, -1.0)) == pytest.approx(0.75)


def test_an_outcome_is_ok_when_no_engine_failed() -> None:
    outcome = SyncOutcome(version=1, seconds=0, pause_seconds=0, canary_gap=0, proved=("a",), failures={})
    assert outcome.ok
    failed = SyncOutcome(
        version=1, seconds=0, pause_seconds=0, canary_gap=0, proved=("b",), failures={"a": "pause: no answer"}
    )
    assert not failed.ok
