"""A run that stopped."""

from __future__ import annotations

from common.config import RunSpec
from deploy.job.run_folder import RunFolder
from deploy.job.start import starting_point
from learner import checkpoint


def stopped(file: RunSpec, step: int) -> RunFolder:
    """The folder of a run of `file` that stopped after this step, with its checkpoint."""
    folder, _ = starting_point(file, False)
    folder.path.mkdir(parents=True)
    folder.record(folder.spec.concrete("float32"), file)
    folder.journal.write_bytes(b"")
    made = checkpoint.begin(folder.path, step)
    (made / "x.pt").write_bytes(b"x")
    checkpoint.commit(made, step=step, policy_version=step, ranks=1)
    return folder
