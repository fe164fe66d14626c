"""One row of a notes file: its fields, read strictly, and where to point when one of them is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from common.files import parse_json
from envs.verdict.data.text import one_line, repair

ERROR_TYPES = ("diagnosis", "management", "treatment", "pharmacotherapy", "causalOrganism")
_TYPE_BY_LOWER = {name.lower(): name for name in ERROR_TYPES}
_UNDECODED = re.compile("[\udc80-\udcff]")  # how Python's `surrogateescape` shows a byte that is not UTF-8


class BadRow(ValueError):
    """A row that cannot be read: one line that says file, row, field and what to write instead."""


class Row:
    """The fields of row `number` of `file`; every reader raises `BadRow`."""

    def __init__(self, file: Path, number: int, cells: Mapping[str, Any]) -> None:
        self.file, self.number, self.cells = file, number, cells

    def refuse(self, field: str, wrong: str, write: str) -> NoReturn:
        """Raise `BadRow` that names file, row and `field`, says what is wrong and what to write instead."""
        name = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in field)  # it may be of a damaged header
        raise BadRow(f"{self.file}:row {self.number}, field '{name}': {wrong}; write {write}")

    def check_columns(self, names: Sequence[str]) -> None:
        """Refuse a header without one of `names`."""
        self.check_encoding()
        missing = [name for name in names if name not in self.cells]
        if missing:
            self.refuse(missing[0], "no such column", "the official MEDEC header, or the columns id and text")

    def check_cells(self) -> None:
        """Refuse a row of `csv.DictReader` that has more or fewer cells than the header."""
        absent = next((field for field, value in self.cells.items() if field is not None and value is None), None)
        if absent is not None or None in self.cells:
            field = absent or [name for name in self.cells if name is not None][-1]
            self.refuse(field, "the row has more or fewer cells than the header", "one cell a column")

    def check_encoding(self) -> None:
        """Refuse the row when a field holds bytes that are not UTF-8."""
        for field, value in self.cells.items():
            found = _UNDECODED.search(f"{field} {value}")
            if found:
                name = _UNDECODED.sub("?", str(field))
                self.refuse(name, f"byte 0x{ord(found[0]) - 0xDC00:02x} is not UTF-8", "the file again in UTF-8")

    def json_object(self, field: str) -> Row:
        """The row whose fields are those of the JSON object that is this row's only field."""
        try:
            cells = parse_json(self.cells[field])
        except ValueError as broken:
            raise BadRow(f"{self.file}:row {self.number}: not JSON ({broken}); write one object a line") from None
        if not isinstance(cells, dict):
            raise BadRow(f'{self.file}:row {self.number}: not a JSON object; write {{"note_id": ...}}')
        return Row(self.file, self.number, cells)

    def new_id(self, field: str, seen: set[str]) -> str:
        """The field, which must not be in `seen`; it is added there."""
        value = self.text(field)
        if value in seen:
            self.refuse(field, f"{short(value)} occurs in an earlier row too", "a unique id")
        seen.add(value)
        return value

    def text(self, field: str) -> str:
        """The field, which must be text and not blank, whitespace at its ends removed."""
        value = self.cells.get(field)
        if not isinstance(value, str) or not value.strip():
            self.refuse(field, f"is missing or not text: {short(value)}", "the text")
        return value.strip()

    def integer(self, field: str) -> int:
        """The field as a whole number; `5.0` counts as one."""
        value = (self.cells.get(field) or "").strip()
        if not re.fullmatch(r"-?\d{1,9}(\.0+)?", value, re.ASCII):
            self.refuse(field, f"{short(value)} is not an integer", "a number such as 5")
        return int(value.split(".")[0])

    def error_type(self, field: str) -> str:
        """The field as an error type of MEDEC, in its official spelling."""
        value = self.text(field)
        if value.lower() not in _TYPE_BY_LOWER:
            self.refuse(field, f"unknown type {short(value)}", "one of " + ", ".join(ERROR_TYPES))
        return _TYPE_BY_LOWER[value.lower()]

    def correction(self, field: str, error: str) -> str:
        """The field, which must differ from the sentence `error` that it corrects."""
        value = self.text(field)
        if one_line(repair(value)) == error:
            self.refuse(field, "is equal to the error sentence", "the sentence without its error")
        return value


def short(value: object) -> str:
    """`value` as an error message shows it: at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
