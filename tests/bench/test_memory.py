from __future__ import annotations

import subprocess
import sys
import time

from bench.memory import GIB, PeakMemory, tree_bytes


def test_the_peak_counts_a_child_that_has_ended() -> None:
    hold = "import time; x = b'1' * 200_000_000; time.sleep(0.5)"
    with PeakMemory(period=0.05) as memory:
        subprocess.run([sys.executable, "-c", hold], check=True)
    assert memory.gib > 200_000_000 / GIB


def test_a_process_that_is_gone_counts_zero() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    time.sleep(0.05)
    assert tree_bytes(process.pid) == 0
