from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import gpu_check
from bench.gpu_check import Card, Outcome, report

ROW = {
    "step": 1,
    "sync_ok": True,
    "sync_seconds": 0.5,
    "sync_pause_seconds": 0.25,
    "canary_gap": 0.01,
    "fresh_logp_difference": 0.02,
    "rollout_tokens_per_second": 900.0,
    "learner_tokens_per_second": 1500.0,
}


def without_nvidia_smi(tmp_path: Path) -> dict[str, str]:
    """Programs of this machine, but for nvidia-smi."""
    for name in ("sh", "bash", "make", "grep", "sed", "echo"):
        found = next((Path(at) / name for at in os.environ["PATH"].split(":") if (Path(at) / name).exists()), None)
        if found is not None:
            (tmp_path / name).symlink_to(found)
    of_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # where make runs the tests, a make below it would print more
    return {**{name: value for name, value in os.environ.items() if name not in of_make}, "PATH": str(tmp_path)}


def test_a_machine_without_a_card_is_told_in_one_line(tmp_path: Path) -> None:
    env = without_nvidia_smi(tmp_path)
    here = subprocess.run([sys.executable, "-m", "bench.gpu_check"], env=env, capture_output=True, text=True)
    made = subprocess.run(["make", "gpu-check"], env=env, capture_output=True, text=True)
    line = "gpu-check: nvidia-smi shows no GPU here, and all that this checks needs one\n"
    assert (here.returncode, here.stdout, here.stderr) == (2, "", line)
    assert made.returncode == 2 and made.stderr.startswith(line) and made.stdout == ""


def test_the_report_holds_memory_against_plan_and_the_figures_of_each_step() -> None:
    broken = {**ROW, "step": 2, "sync_ok": False, "canary_gap": None, "fresh_logp_difference": None}
    outcomes = [
        Outcome("adapter", planned_gib=(7.25,), peak_gib=(6.5,), rows=(ROW, broken)),
        Outcome("broadcast", refusal="NCCL does not join two processes on one GPU"),
        Outcome("other", failure="exit code 1: out of memory", planned_gib=(7.0,)),
    ]
    text = "\n".join(report([Card("NVIDIA X", "580.65", 24.0)], "laptop", outcomes))
    assert "GPU 0: NVIDIA X, 24.0 GiB, driver 580.65" in text
    assert "7.2 planned, 6.5 measured" in text and "7.0 planned, not measured" in text
    assert "step 1: sync ok in 0.50 s (pause 0.25), canary 0.0100 and new replies 0.0200 nats apart" in text
    assert "step 2: sync FAILED in 0.50 s (pause 0.25), canary not finite or not measured and new" in text
    assert "900 tokens/s sampled, 1500 trained" in text
    assert "not run, refused by the plan: NCCL does not join" in text and "FAILED: exit code 1: out of memory" in text


def test_a_card_that_is_too_small_is_refused_by_the_plan_and_nothing_is_run() -> None:
    outcome = gpu_check.tried("laptop", "adapter", [Card("NVIDIA X", "580.65", 1.0)], 1)
    assert "usable of 1" in outcome.refusal


def test_a_card_without_memory_of_its_own_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "query", lambda fields: "NVIDIA GB10, 580.95, [N/A]\n")
    there = gpu_check.cards()
    assert there == [Card("NVIDIA GB10", "580.95", 0.0)]
    assert "--hardware.gpu_gib" not in gpu_check.flags("laptop", "shm", there, "runs")
    assert "GPU 0: NVIDIA GB10, memory not known, driver 580.95" in "\n".join(report(there, "laptop", []))


def test_the_peak_is_kept_when_nvidia_smi_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["1024\n2048\n", "", "4096\n1024\n"])
    monkeypatch.setattr(gpu_check, "query", lambda fields: next(answers))
    memory = gpu_check.CardMemory()
    for _ in range(3):
        memory._look()
    assert memory.peak == (4.0, 2.0)


def test_a_run_that_does_not_end_is_interrupted_and_told_with_what_it_said(tmp_path: Path) -> None:
    # A child of what runs in the background ignores the interrupt otherwise.
    heard = "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    waits = f"{heard}try:\n    print('began', flush=True)\n    time.sleep(60)\n"
    command = [sys.executable, "-c", f"{waits}except KeyboardInterrupt:\n    print('ended')"]
    said = gpu_check._failure(command, tmp_path / "log.txt", 2)
    assert said.startswith("no end within 2 s: ") and "began" in said and "ended" in said
