"""Flags that several benches have."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from common.config import ModelSpec
from common.models import check_source


def add_model(parser: ArgumentParser) -> None:
    """`--model`, refused at once where it names a folder that holds no model."""
    parser.add_argument("--model", type=_source, default=ModelSpec().source, help="as model.source of a spec")


def _source(written: str) -> str:
    try:
        check_source(written)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return written
