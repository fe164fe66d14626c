"""What every record is made of: frozen structs, and those that hold token data as arrays."""

from __future__ import annotations

from typing import Any, dataclass_transform

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

Ids = NDArray[np.int32]
"""Token ids, read-only [T]. Records take any sequence of integers and keep it so."""


@dataclass_transform(frozen_default=True, kw_only_default=True)  # else type checkers take subclasses for mutable
class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every record: immutable, built by keyword, comparable, serialisable by msgspec."""


class TokenRecord(Record, eq=False):
    """A record that holds token data as read-only arrays: small on the wire, read by numpy and torch as they are."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_equal(getattr(self, name), getattr(other, name)) for name in self.__struct_fields__)

    def _freeze(self, **dtypes: type[np.generic]) -> None:
        for name, dtype in dtypes.items():
            msgspec.structs.force_setattr(self, name, frozen(getattr(self, name), dtype))


def frozen(values: ArrayLike, dtype: type[np.generic]) -> NDArray[Any]:
    """The values as a read-only array; the same array where it is one already."""
    array = np.asarray(values, dtype)
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def _equal(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)
