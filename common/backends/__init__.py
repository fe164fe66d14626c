"""What differs between CPU and CUDA, in one place: a `Backend` value, chosen by `backend:` in the spec, and the dtype
that `model.dtype: auto` resolves to."""

from __future__ import annotations

from common.backends.cpu import CPU
from common.backends.cuda import CUDA
from common.backends.dtype import Dtype, agreed, best_dtype, notice
from common.backends.spec import Backend

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (CPU, CUDA)}

__all__ = ["BACKENDS", "CPU", "CUDA", "Backend", "Dtype", "agreed", "best_dtype", "notice"]
