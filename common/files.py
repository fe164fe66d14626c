"""Text files and JSON lines: every reader and writer of every command uses these, whatever the locale."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")
_HALF = re.compile("(?i:\\\\ud[89a-f])|[\ud800-\udc7f\udd00-\udfff]")
"""What a JSON text has where one of its texts may hold half of a character. A byte that is not UTF-8, which a reader of
notes decodes to such a half (`surrogateescape`), is refused by that reader, by row and field."""


class Lines(NamedTuple, Generic[T]):
    """What a JSON lines file holds: its readable lines, and one line for people about each damaged one."""

    found: list[T]
    damaged: list[str]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically: it has all of `data`, or its earlier content, even if the machine stops at once."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # a rename may reach the disk before what was written
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def json_line(content: Mapping[str, Any]) -> bytes:
    """An object as one line of a JSON lines file, without its end. Numbers that are not finite are null: JSON has
    none."""
    return msgspec.json.encode(content)


def read_bytes(path: Path, write: str = "write the path of a file") -> bytes:
    """A file's bytes. Raises ValueError, one line that ends with `write`, when it cannot be read."""
    with _readable(path, write):
        return path.read_bytes()


@contextmanager
def _readable(path: Path, write: str = "write the path of a file") -> Iterator[None]:
    """Reading `path` inside raises ValueError, one line, where it cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; {write}") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: is a folder; {write}") from None
    except PermissionError:
        raise ValueError(f"{path}: may not be read; give read permission on it") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); {write}") from None


def is_file(path: Path) -> bool:
    """Whether there is such a file. Raises ValueError, one line, where this user may not look."""
    try:
        return path.is_file()
    except PermissionError:
        raise ValueError(
            f"{path.parent}: is closed to you; get the right to read it, or name a folder of yours"
        ) from None


def listed(folder: Path, pattern: str) -> list[Path]:
    """What in a folder has a name that matches; nothing where there is no folder.

    Raises ValueError, one line, where this user may not look into it, or it is a file. (`Path.glob` finds nothing.)
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except PermissionError:
        raise ValueError(f"{folder}: may not be read; give read permission on it") from None
    except NotADirectoryError:
        raise ValueError(f"{folder}: is a file where a folder should be; remove it") from None
    return [folder / name for name in names if fnmatch(name, pattern)]


def read_text(path: Path, write: str = "write the path of a text file") -> str:
    """A UTF-8 file, with or without a byte order mark, its line ends as line feeds. Raises ValueError, one line."""
    return text_of(read_bytes(path, write), str(path))


def text_of(data: bytes, name: str) -> str:
    """The text of bytes in UTF-8, as `read_text` reads it. Raises ValueError that begins with `name`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{name}: line {line}: byte 0x{data[error.start]:02x} is not UTF-8; write the file again in UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sha256_of(path: Path) -> str:
    """The digest of a file, or of the files of a folder with their names, which identifies a data set.

    Raises ValueError, one line, when it cannot be read.
    """
    if not path.is_dir():
        return _digest(path).hex()
    whole = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        name = str(file.relative_to(path)).encode("utf-8", "surrogateescape")
        whole.update(hashlib.sha256(name).digest() + _digest(file))
    return whole.hexdigest()


def _digest(path: Path) -> bytes:
    with _readable(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def parse_json(text: str | bytes) -> Any:
    """A JSON document. Raises ValueError, also where it is nested too deeply to be read, a name stands twice, or a
    text is none: an escape such as \\ud800 that is half of a character, which can never be written again."""
    written = text if isinstance(text, str) else text.decode("utf-8-sig")
    try:
        found = json.loads(written, object_pairs_hook=_members)
        if _HALF.search(written):  # few have such an escape
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1]
        raise ValueError(f"{ascii(half)[1:-1]} is half of a character; write the whole one") from None
    return found


def json_lines(path: Path) -> Lines[dict[str, Any]]:
    """The objects of a JSON lines file, oldest first; see `parsed_lines`."""
    return parsed_lines(path, _object)


def parsed_lines(path: Path, parse: Callable[[bytes], T]) -> Lines[T]:
    """`parse` of each line, oldest first; none if there is no file.

    A last line without its newline is still being written, or a crash tore it: it counts if it parses. Any other line
    that does not parse is left out and named. `parse` raises ValueError then, as decoders do. Raises ValueError for a
    file that cannot be opened.
    """
    content = read_bytes(path) if path.exists() else b""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    found, damaged = list[T](), list[str]()
    for number, line in enumerate(lines, start=1):
        is_open = number == len(lines)
        if is_open and not line:
            break
        try:
            found.append(parse(line))
        except (ValueError, RecursionError) as error:
            if not is_open:
                damaged.append(f"{path}:{number}: left out, it is damaged ({' '.join(str(error).split())})")
    return Lines(found, damaged)


def read_record(path: Path, kind: type[T]) -> T | None:
    """The msgspec record of a JSON file that a run left; None where there is no file, or a damaged one."""
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(read_bytes(path), type=kind)
    except (ValueError, RecursionError):
        return None


def read_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file that must be there. Raises ValueError, one line that names the file."""
    data = read_bytes(path)
    try:
        return _object(data)
    except ValueError as error:
        raise ValueError(f"{path}: is damaged ({' '.join(str(error).split())}); make it again") from None


def append_line(path: Path, line: bytes) -> None:
    """Add one line, without its newline, to a file; what a crash left of a line before it is removed."""
    cut_torn_line(path)
    with path.open("ab") as file:
        file.write(line + b"\n")


def cut_torn_line(path: Path) -> None:
    """Remove a last line that has no newline, so that the next one written does not continue it."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        if not file.seek(0, os.SEEK_END):
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice!r:.40} stands twice")
    return found


def _object(line: bytes) -> dict[str, Any]:
    found = parse_json(line)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found
