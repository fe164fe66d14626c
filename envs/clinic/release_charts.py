"""The release tasks of charts, with a fixed number of each kind of request.

    python -m envs.clinic.release_charts > envs/clinic/release_tasks/ehr_management.jsonl

draws the list anew; `envs.clinic.release` reads it. Of an odd number the last task has no partner in the list.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import msgspec

from envs.clinic.chart.domain import Chart
from envs.clinic.chart.families.table import RELEASED
from envs.clinic.release import Listed, new_list


def rows() -> Iterator[Listed]:
    """The rows, numbered over all kinds; an odd number comes last, so that twins follow each other."""
    at = 0
    for kind, count in sorted(RELEASED.items(), key=lambda one: one[1] % 2):
        for row in list(new_list(Chart((kind,)), count + count % 2))[:count]:
            at += 1
            yield msgspec.structs.replace(row, name=f"{Chart.name}_{at:03}")


def main() -> int:
    """The command."""
    for row in rows():
        print(msgspec.json.encode(row).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
