"""The settings of the verdict game."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from common.paths import InputPath, input_path, path_of
from common.sections import EnvSettings, Section

BUNDLED = "bundled"
OWN = "own"
LEAST_NOISE = 3
Outcome = Literal["skill", "graded", "type"]


class QuadrantMix(Section):
    """Share of each quadrant; error and clean tasks must balance."""

    augmented_error: float = Field(0.25, ge=0)
    augmented_safe: float = Field(0.25, ge=0)
    synthetic_decoy: float = Field(0.25, ge=0)
    synthetic_injection: float = Field(0.25, ge=0)

    @model_validator(mode="after")
    def _twins_balance(self) -> QuadrantMix:
        if abs(self.augmented_error - self.augmented_safe) > 1e-9:
            raise ValueError("augmented_error and augmented_safe are twins: give them equal shares")
        if abs(self.synthetic_decoy - self.synthetic_injection) > 1e-9:
            raise ValueError("synthetic_decoy and synthetic_injection are twins: give them equal shares")
        if self.augmented_error + self.synthetic_decoy <= 0:
            raise ValueError("at least one quadrant must have a share above 0")
        return self


def _notes(written: str) -> str:
    return written if written == BUNDLED else str(input_path(written))


def _phrases(written: str | None) -> str | None:
    return written if written in (None, OWN) else _notes(written)


class DataSpec(Section):
    """Where notes come from and how tasks are drawn from them."""

    path: Annotated[str, AfterValidator(_notes)] = BUNDLED
    """`bundled` (fictional notes), or your own: a CSV, a .jsonl, or a folder (docs/your-notes.md)."""
    phrases: Annotated[str | None, AfterValidator(_phrases)] = None
    """Notes whose errors are put into those of `path`, beside the errors of its own: `bundled`, a file, or `own` for no
    others; null: `bundled` where no note of `path` has an error."""
    quadrants: QuadrantMix = QuadrantMix()
    """Share of each kind of task."""
    heldout: float = Field(0.2, ge=0, lt=1)
    """Share of vignettes kept out of training."""
    evaluation: InputPath | None = None
    """Notes kept for evaluation (MEDEC CSV or pairs .jsonl): near-copies are left out of `path`."""
    skip_bad_rows: bool = False
    """Leave out rows of `path` that cannot be read, and count them; otherwise the first one ends the run."""
    max_words: int = Field(300, ge=20)
    """Longer notes are left out."""
    proposer_tries: int = Field(2, ge=0)
    """Scribe completions tried per sentence before the fallback to a rule; 0 never asks the model."""
    reworded_sentences: int = Field(2, ge=0)
    """Sentences that the Scribe rewords per note."""
    noise_edits: int = Field(4, ge=LEAST_NOISE, le=20)
    """Cosmetic edits per note: typos, formats, spellings. A synthetic note that takes fewer than three is not used."""
    tier_c: bool = False
    """Errors proposed by the model itself; needs a pool that serves the verifier and a passed exam."""

    @model_validator(mode="after")
    def _exam_has_questions(self) -> DataSpec:
        if self.tier_c and not self.heldout:
            raise ValueError("tier_c needs held-out notes for the verifier's exam: set heldout above 0")
        return self


class RewardSpec(Section):
    """What a verdict earns; the table is in `envs/verdict/doctor/reward.py`."""

    outcome: Outcome = "skill"
    """What a verdict earns. `skill`: on a clean note minus what it earns on the error twin: nothing on average without
    reading. `graded`: .1 for the form, false alarms up to 1.5, so that silence pays. `type`: so too, a flag 1 or -1."""
    anneal_steps: int | None = Field(None, ge=0)
    """Of `graded` and `type`: policy versions over which the false-alarm penalty goes from -1.0 to -1.5; 0: none; null:
    half of `steps`."""

    @model_validator(mode="after")
    def _skill_has_one_penalty(self) -> RewardSpec:
        if self.outcome == "skill" and self.anneal_steps:
            raise ValueError(
                "anneal_steps needs outcome graded or type: skill has no penalty of its own for false alarms"
            )
        return self

    def over(self, steps: int) -> RewardSpec:
        """The same for a run of that many steps, with the default of `anneal_steps` in numbers."""
        if self.outcome == "skill":
            return self.model_copy(update={"anneal_steps": 0})
        return self.model_copy(update={"anneal_steps": steps // 2 if self.anneal_steps is None else self.anneal_steps})


class VerdictSettings(EnvSettings):
    """The verdict game: notes with one error or none, and what a verdict on them earns."""

    checker: ClassVar[str] = "envs.verdict.checker:make"

    id: str = "verdict"
    data: DataSpec = DataSpec()
    """Where notes come from."""
    reward: RewardSpec = RewardSpec()
    """What a verdict earns."""

    @property
    def has_heldout(self) -> bool:
        """Whether a share of the vignettes is kept out of training."""
        return self.data.heldout > 0

    @property
    def needs_verifier(self) -> bool:
        """Whether tier C is on."""
        return self.data.tier_c

    @property
    def unpaid(self) -> str:
        """Why a trained Scribe earns nothing: only errors that the model itself proposes are rewarded."""
        if not self.data.tier_c:
            return "a trained Scribe is paid for verified errors only: set data.tier_c to true"
        return "" if self.data.proposer_tries else "set data.proposer_tries above 0"

    @property
    def files(self) -> tuple[Path, ...]:
        """With the notes."""
        named = (self.data.path, self.data.phrases)
        return (*super().files, *(Path(file) for file in named if file not in (None, BUNDLED, OWN)))

    @property
    def inputs(self) -> dict[str, Path]:
        """With the notes, unless they are those of this project."""
        named = {"data.path": self.data.path, "data.phrases": self.data.phrases}
        own = {field: path_of(file) for field, file in named.items() if file not in (None, BUNDLED, OWN)}
        return {**super().inputs, **own}

    def settled(self, steps: int) -> Self:
        """With the schedule of the false-alarm penalty in numbers."""
        return self.model_copy(update={"reward": self.reward.over(steps)})

    def public(self) -> dict[str, Any]:
        """With the names of the files only."""
        content = super().public()
        for field in ("path", "phrases"):
            if content["data"][field] is not None:
                content["data"][field] = path_of(content["data"][field]).name
        return content
