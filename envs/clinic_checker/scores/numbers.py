"""Numbers as they are written: 0.1 is a tenth, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

Raw = Mapping[str, Any]
"""Inputs of a score as JSON gives them."""
Found = tuple[Fraction | Decimal | int, str]
"""A value and the name of its group, or no name."""
DIGITS = Context(prec=40)


def exact(value: Any) -> Fraction:
    """The fraction that a number of JSON writes. Raises ValueError for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    return Fraction(repr(value))


def yes(value: Any) -> bool:
    """A truth value of JSON. Raises ValueError for anything else."""
    if value is not True and value is not False:
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def decimal(value: Fraction) -> Decimal:
    """The fraction to 40 digits."""
    with localcontext(DIGITS):
        return Decimal(value.numerator) / Decimal(value.denominator)


def power(base: Decimal, exponent: Decimal) -> Decimal:
    """base to the exponent, through logarithms of 40 digits."""
    with localcontext(DIGITS):
        return (exponent * base.ln()).exp()
