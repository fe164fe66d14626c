"""Does the GPU lock compile what an engine compiles at run time? FlashInfer's own code makes its sampling kernels with
the lock's compiler, for the cards of our specs. It needs no card.

    make gpu-compile

installs the lock's compiler, headers and FlashInfer into a folder of their own first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from common.flags import flag_path

ARCHITECTURES = "8.9 9.0a"
"""Compute capabilities of the cards that our specs plan for: an RTX 4090, an H100."""


def main() -> int:
    """Compile and link; 1 when that fails, after what the compiler said."""
    parser = argparse.ArgumentParser("python -m deploy.locks.compiles", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=flag_path, help="with the installed wheels")
    folder = parser.parse_args().folder.resolve()
    with tempfile.TemporaryDirectory() as made:
        os.environ |= {
            "CUDA_HOME": str(folder / "nvidia" / "cu13"),
            "FLASHINFER_CUDA_ARCH_LIST": ARCHITECTURES,
            "FLASHINFER_WORKSPACE_BASE": made,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # with ninja
        }
        sys.path.insert(0, str(folder))
        return compile_sampling()


def compile_sampling() -> int:
    """With what the environment names."""
    from flashinfer.jit.sampling import gen_sampling_module

    kernels, began = gen_sampling_module(), time.monotonic()
    try:
        kernels.build(verbose=False)
    except RuntimeError as error:
        print(error)
        return 1
    print(f"FlashInfer's sampling kernels compile and link for {ARCHITECTURES}: {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
