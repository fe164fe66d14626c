"""Proof that an engine computes with a LoRA adapter: from the tensors in its layers, not from what it was told.

vLLM passes over tensors whose names match none of its layers, and says nothing where some other layer has the same last
name, as under the wrapper of a multimodal model. Such an adapter would be served as the base model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from vllm.lora.peft_helper import PEFTHelper
from vllm.lora.utils import parse_fine_tuned_lora_name

from common.weights import named_checksum

Pair = tuple[list[Tensor | None], list[Tensor | None]]
"""The A and B matrices of one LoRA layer of vLLM, of each module in it: q, k and v share a layer."""


def checksum_in_place(model_runner: Any, adapter: int, folder: Path) -> str:
    """Checksum over names and bytes of the adapter's tensors in `folder`, once each was found in place.

    In place: what this worker's layers hold in the adapter's slot equals it, element by element; of a tensor-parallel
    worker, its part. Raises ValueError naming a tensor that matches no layer, or that its layer holds otherwise.
    """
    manager = model_runner.lora_manager._adapter_manager
    slot = manager.lora_index_to_id.index(adapter)
    sent = load_file(folder / "adapter_model.safetensors")
    places = _places(manager)
    rename = getattr(manager.model, "hf_to_vllm_mapper", None)
    mapper = rename.get_rename_mapper() if rename is not None else None
    found = {name: _place(name, places, mapper, folder) for name in sent}
    helper = PEFTHelper.from_local_dir(str(folder), None)
    layers = {place[0] for place in found.values()}
    for layer in sorted(layers):
        inside = {name: place for name, place in found.items() if place[0] == layer}
        _check(layer, manager.modules[layer], slot, _pair(inside, sent, places, helper, manager), inside, folder)
    return named_checksum((name, _bytes(tensor)) for name, tensor in sent.items())


def _bytes(tensor: Tensor) -> memoryview:
    return memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


def _places(manager: Any) -> dict[str, tuple[str, int, int]]:
    """By module name as in a checkpoint: its LoRA layer in vLLM, its number there, and how many that layer has."""
    places: dict[str, tuple[str, int, int]] = {}
    for layer in manager.modules:
        parts = manager.packed_modules.get(layer, [layer])
        places |= {module: (layer, number, len(parts)) for number, module in enumerate(parts)}
    return places


def _place(name: str, places: dict[str, tuple[str, int, int]], mapper: Any, folder: Path) -> tuple[str, int, bool]:
    """(layer, number in it, whether it is an A matrix) of a tensor."""
    module, is_a = parse_fine_tuned_lora_name(name, mapper)
    if module not in places:
        raise ValueError(f"adapter {folder.name}: tensor {name} matches no LoRA layer of this engine ({module})")
    layer, part, _ = places[module]
    return layer, part, is_a


def _pair(
    inside: dict[str, tuple[str, int, bool]],
    sent: dict[str, Tensor],
    places: dict[str, tuple[str, int, int]],
    helper: Any,
    manager: Any,
) -> Pair:
    """What a layer must hold: in the engine's dtype, B multiplied by the adapter's scale, as vLLM does."""
    layer = next(iter(inside.values()))[0]
    count = next(parts for at, _, parts in places.values() if at == layer)
    down: list[Tensor | None] = [None] * count
    up: list[Tensor | None] = [None] * count
    for name, (_, part, is_a) in inside.items():
        tensor = sent[name].to(manager.lora_config.lora_dtype)
        (down if is_a else up)[part] = tensor if is_a else tensor * (helper.lora_alpha / helper.r)
    return down, up


def _check(
    name: str, layer: Any, slot: int, pair: Pair, inside: dict[str, tuple[str, int, bool]], folder: Path
) -> None:
    if layer.tp_size > 1:
        pair = _sliced(layer, pair)
    stacked = (layer.lora_a_stacked, layer.lora_b_stacked)
    for matrices, held in zip(pair, stacked, strict=True):
        for part, wanted in enumerate(matrices):
            if wanted is None:
                continue
            rows, columns = wanted.shape
            if not torch.equal(held[part][slot, 0, :rows, :columns].cpu(), wanted):
                is_a = matrices is pair[0]
                tensor = next(one for one, (_, at, a) in inside.items() if (at, a) == (part, is_a))
                raise ValueError(f"adapter {folder.name}: layer {name} does not hold tensor {tensor} as it was sent")


def _sliced(layer: Any, pair: Pair) -> Pair:
    """A tensor-parallel worker's part, cut as vLLM's layer cuts it: whole lists where modules share the layer."""
    down, up = pair
    if len(down) > 1:
        return layer.slice_lora_a(down), layer.slice_lora_b(up)
    return [layer.slice_lora_a(down[0])], [layer.slice_lora_b(up[0])]
