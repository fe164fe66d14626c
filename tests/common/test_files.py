from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.files import (
    append_line,
    cut_torn_line,
    json_lines,
    parse_json,
    parsed_lines,
    read_object,
    read_record,
    read_text,
    sha256_of,
    write_whole,
)
from common.records import Record


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spec.yaml"
    write_whole(path, b"before")

    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"


class Disk:
    """`os` with a record of what reached the disk, in order: content that was synced, names that changed."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._fsync, self._replace = os.fsync, os.replace

    def fsync(self, file: int) -> None:
        self._fsync(file)
        path = Path(os.readlink(f"/proc/self/fd/{file}"))
        self.events.append(f"sync {path.name}/" if path.is_dir() else f"sync {path.name}: {path.read_text()}")

    def replace(self, source: Path, target: Path) -> None:
        self._replace(source, target)
        self.events.append(f"{Path(source).name} becomes {Path(target).name}")


def test_content_reaches_the_disk_before_its_name_does_and_the_name_before_the_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, run = Disk(), tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    monkeypatch.setattr(os, "replace", disk.replace)
    write_whole(run / "spec.yaml", b"seed: 1")
    assert disk.events == ["sync spec.yaml.partial: seed: 1", "spec.yaml.partial becomes spec.yaml", "sync run/"]


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert json_lines(tmp_path / "metrics.jsonl") == ([], [])


ROWS = [{"step": 1, "seconds": {"learner": 2.5}}, {"step": 2, "names": ["a\u2028b"], "seconds": {}}]
WHOLE = b"".join(msgspec.json.encode(row) + b"\n" for row in ROWS)


@given(st.integers(0, len(WHOLE)))
def test_a_file_cut_anywhere_gives_its_whole_lines(size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        path.write_bytes(WHOLE[:size])
        ends = [at for at, byte in enumerate(WHOLE) if byte == ord("\n")]
        whole = [row for row, end in zip(ROWS, ends, strict=True) if end <= size]
        assert json_lines(path) == (whole, [])
        cut_torn_line(path)
        assert path.read_bytes() == WHOLE[: max([end + 1 for end in ends if end < size], default=0)]


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=3))
def test_a_line_damaged_anywhere_costs_no_other_line(at: int, damage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        path.write_bytes(WHOLE[:at] + damage + WHOLE[at + 1 :])
        found, damaged = json_lines(path)
        hurt = WHOLE.count(b"\n", 0, at)
        others = [row for number, row in enumerate(ROWS) if number != hurt]
        if WHOLE[at] != ord("\n"):
            assert all(row in found for row in others)
        assert all("\n" not in line and "metrics.jsonl:" in line for line in damaged)


def test_a_line_torn_after_a_nested_object_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "seconds": {"learner": 2.5}')
    assert json_lines(path) == ([{"step": 1}], [])


TORN = {
    "torn": b'{"step": 2, "lo{"step": 3}\n',
    "not text": b"\xff\n",
    "empty": b"\n",
    "zeros": b"\0\0\0\n",
    "nested too deeply": b"[" * 100_000 + b"\n",
    "not an object": b"3\n",
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
def test_a_line_before_the_end_that_does_not_parse_is_left_out_and_named(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + torn + b'{"step": 3}\n')
    found, (damaged,) = json_lines(path)
    assert found == [{"step": 1}, {"step": 3}]
    assert damaged.startswith(f"{path}:2: left out, it is damaged (") and "\n" not in damaged


def test_a_byte_order_mark_belongs_to_no_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"step": 1}\r\n')
    assert json_lines(path) == ([{"step": 1}], [])


def test_a_line_of_another_type_is_named(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_text('{"x": 1}\n')
    found, (damaged,) = parsed_lines(path, msgspec.json.Decoder(dict[str, str]).decode)
    assert found == [] and damaged.startswith(f"{path}:1: left out")


def test_a_new_line_does_not_continue_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for content in (b"", b'{"a": 1}\n', b'{"a": 1}\n{"b', b"{"):
        path.write_bytes(content)
        append_line(path, b'{"c": 1}')
        assert json.loads(path.read_bytes().splitlines()[-1]) == {"c": 1}
        assert json_lines(path).damaged == []


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_text_is_read_as_utf_8_with_its_line_ends_as_line_feeds(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(mark + "38 °C\r\nα\rend\n".encode())
    assert read_text(path) == "38 °C\nα\nend\n"


def test_a_file_that_is_no_text_is_refused_with_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes("first\n38 °C".encode("latin-1"))
    with pytest.raises(ValueError, match=r"note\.txt: line 2: byte 0xb0 is not UTF-8; write the file again in UTF-8$"):
        read_text(path)


@pytest.mark.parametrize(
    ("name", "told"), [("no", "no such file"), ("folder", "is a folder"), ("file/x", "cannot be read (Not a")]
)
def test_a_file_that_cannot_be_opened_is_one_line(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError) as caught:
        read_text(tmp_path / name, "write another")
    assert told in str(caught.value) and "\n" not in str(caught.value)


class Kept(Record):
    count: int


@pytest.mark.parametrize("content", [b'{"count": 1', b'{"count": "\xff"}', b"[" * 100_000, b"", b'{"count": "x"}'])
def test_a_damaged_record_counts_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "outcome.json"
    assert read_record(path, Kept) is None
    path.write_bytes(content)
    assert read_record(path, Kept) is None


def test_the_digest_of_a_folder_tells_its_names_and_contents_apart(tmp_path: Path) -> None:
    def digest(name: str, files: dict[str, str]) -> str:
        folder = tmp_path / name
        folder.mkdir()
        for file, text in files.items():
            (folder / file).write_text(text)
        return sha256_of(folder)

    one = digest("one", {"a": "x", "b": "y"})
    assert digest("same", {"b": "y", "a": "x"}) == one
    assert len({one, digest("moved", {"a": "y", "b": "x"}), digest("renamed", {"a": "x", "c": "y"})}) == 3
    assert sha256_of(tmp_path / "one" / "a") == hashlib.sha256(b"x").hexdigest()
    with pytest.raises(ValueError, match="no such file"):
        sha256_of(tmp_path / "absent")


@pytest.mark.parametrize(
    "text", [r'{"a": "\ud800"}', r'{"\udC00": 1}', r'["\ud83d x"]', '["\ud800"]', b'["\xed\xa0\x80"]']
)
def test_half_of_a_character_is_no_text(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_a_character_in_two_escapes_is_whole() -> None:
    assert parse_json(r'["\ud83d\ude00"]') == ["\U0001f600"]


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b"\xff", b"[" * 100_000])
def test_an_object_that_must_be_there_is_refused_by_its_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config [x].json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"config \[x\]\.json: is damaged .*; make it again") as caught:
        read_object(file)
    assert "\n" not in str(caught.value)
    file.write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa9"}')
    assert read_object(file) == {"a": "é"}
