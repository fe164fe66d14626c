"""Files of a run: written so that no reader finds half of one, read so that a half line at the end does not count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: bytes) -> None:
    """The file is there with all of `data`, or as it was."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def json_lines(path: Path) -> list[dict[str, Any]]:
    """An object a line, oldest first; none without a file. A line that is being written, or was torn, is left out."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]
