"""`python -m tests.deploy.faked_gpus SPEC ...`: deploy.selfplay, whose CPU actors ask Ray for a GPU each."""

from __future__ import annotations

import sys

import msgspec

from common.backends import BACKENDS
from deploy import selfplay

FAKED = msgspec.structs.replace(BACKENDS["cpu"], gpus_per_engine=1, gpus_per_learner_rank=1)

if __name__ == "__main__":
    BACKENDS["cpu"] = FAKED
    sys.exit(selfplay.main())
