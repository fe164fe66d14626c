"""What differs between CPU and CUDA, in one place: a `Backend` value. Chosen by `backend:` in the spec."""

from __future__ import annotations

from common.backends.cpu import CPU
from common.backends.cuda import CUDA
from common.backends.spec import Backend

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (CPU, CUDA)}

__all__ = ["BACKENDS", "CPU", "CUDA", "Backend"]
