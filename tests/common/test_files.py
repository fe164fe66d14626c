from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.files import cut_torn_line, json_lines, parsed_lines, write_whole


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spec.yaml"
    write_whole(path, b"before")

    def full(_: Path, data: bytes) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert json_lines(tmp_path / "metrics.jsonl") == []


ROWS = [{"step": 1, "seconds": {"learner": 2.5}}, {"step": 2, "names": ["a\u2028b"], "seconds": {}}]
WHOLE = b"".join(msgspec.json.encode(row) + b"\n" for row in ROWS)


@given(st.integers(0, len(WHOLE)))
def test_a_file_cut_anywhere_gives_its_whole_lines(size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        path.write_bytes(WHOLE[:size])
        ends = [at for at, byte in enumerate(WHOLE) if byte == ord("\n")]
        assert json_lines(path) == [row for row, end in zip(ROWS, ends, strict=True) if end <= size]
        cut_torn_line(path)
        assert path.read_bytes() == WHOLE[: max([end + 1 for end in ends if end < size], default=0)]


def test_a_line_torn_after_a_nested_object_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "seconds": {"learner": 2.5}')
    assert json_lines(path) == [{"step": 1}]


@pytest.mark.parametrize("torn", [b'{"step": 2, "lo{"step": 3}\n', b"\xff\n", b"\n"], ids=["torn", "not text", "empty"])
def test_a_line_before_the_end_that_does_not_parse_is_named(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + torn)
    with pytest.raises(ValueError, match=r"metrics\.jsonl:2: not JSON .*remove the line"):
        json_lines(path)


def test_a_line_of_another_type_is_named(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_text('{"x": 1}\n')
    with pytest.raises(ValueError, match=r"curve\.jsonl:1: not JSON"):
        parsed_lines(path, msgspec.json.Decoder(dict[str, str]).decode)
