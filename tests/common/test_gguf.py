"""A made-up Llama in a GGUF file, against transformers' own reader."""

from __future__ import annotations

from pathlib import Path

import gguf as library
import numpy as np
import pytest
import torch

from common import gguf

LAYERS, WIDTH, HEADS, KV_HEADS, VOCABULARY = 2, 64, 4, 2, 32


def write(path: Path, architecture: str = "llama") -> Path:
    """Random weights: the matrices of one layer quantised, as a downloaded file's are."""
    writer = library.GGUFWriter(str(path), architecture)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{at}" for at in range(VOCABULARY)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    rng = np.random.default_rng(0)
    kv = WIDTH * KV_HEADS // HEADS
    shapes = {"token_embd": (VOCABULARY, WIDTH), "output_norm": (WIDTH,)}
    for layer in range(LAYERS):
        matrices = {
            "attn_q": (WIDTH, WIDTH),
            "attn_k": (kv, WIDTH),
            "attn_v": (kv, WIDTH),
            "attn_output": (WIDTH, WIDTH),
            "ffn_gate": (2 * WIDTH, WIDTH),
            "ffn_up": (2 * WIDTH, WIDTH),
            "ffn_down": (WIDTH, 2 * WIDTH),
            "attn_norm": (WIDTH,),
            "ffn_norm": (WIDTH,),
        }
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in matrices.items()}
    for name, shape in shapes.items():
        values = rng.standard_normal(shape, dtype=np.float32)
        kind = library.GGMLQuantizationType.Q4_1 if name.startswith("blk.1") and len(shape) == 2 else None
        tensor = values if kind is None else library.quantize(values, kind)
        writer.add_tensor(f"{name}.weight", tensor, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.integration
def test_the_model_is_the_one_that_transformers_reads(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    path = write(tmp_path / "model.gguf")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    ours = gguf.read_model(path)
    weights = ours.state_dict()
    assert weights.keys() == theirs.state_dict().keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in theirs.state_dict().items())
    settings = theirs.config.to_dict()
    differing = {name for name, value in ours.config.to_dict().items() if settings[name] != value}
    assert differing <= {"_name_or_path"}, differing


@pytest.mark.integration
def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model.gguf: its architecture is 'qwen2'; only 'llama' is read"):
        gguf.read_model(write(tmp_path / "model.gguf", "qwen2"))
