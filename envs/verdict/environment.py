"""The verdict game: the Scribe makes labelled notes out of real ones, the Doctor reads one blind and judges it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Sequence

import msgspec

from common.records import Episode, Label, LabelledTask, Limits, Provenance, Record, Rejection, Reward, Task
from envs.contract.env import Complete, Exam, Slot, Turn
from envs.contract.game import Game
from envs.verdict import prompts, reasons
from envs.verdict.data import medec
from envs.verdict.data.medec import Note
from envs.verdict.data.sources import gather
from envs.verdict.doctor import demonstrations, reward
from envs.verdict.report import NoTask, VerdictReport
from envs.verdict.scribe import edits, flow, gate, proposals, retelling, verifier
from envs.verdict.scribe.edits import Edit
from envs.verdict.scribe.injector import Injector, vignettes
from envs.verdict.scribe.noise import LEAST_KINDS
from envs.verdict.scribe.noise import noise as noisy
from envs.verdict.scribe.phrases import mine, pick_type
from envs.verdict.scribe.quadrants import AUGMENTED, SYNTHETIC, Draft, Plan, draft, rewordable, with_injection
from envs.verdict.scribe.reading import sex_of
from envs.verdict.spec import LEAST_NOISE, VerdictSettings

ENV_ID = "verdict"

BY_RULES = (
    "rules reword the sentences, for a small model seldom keeps every fact: data.proposer_tries above 0 asks the model"
)


class _Reworded(Record):
    """Outcome of rewording one sentence: its edit if any, reasons of refusals, and the policy_version that wrote it."""

    edit: Edit | None
    reasons: tuple[str, ...]
    policy_version: int | None = None

    @property
    def outcomes(self) -> tuple[str, ...]:
        return self.reasons if self.edit else (*self.reasons, "reword:unchanged")


class VerdictEnvironment(Game):
    """One-turn game over MEDEC notes; see `envs.contract.env.Environment`.

    Injections are mined from the training split, and from `data.phrases`. `sources` holds the notes, with counts of
    those left out by reason, `training` the vignettes of the training split, `injector` the errors that a vignette can
    take. Raises ValueError, one line, when the notes cannot be read or give no plan.
    """

    env_id = ENV_ID
    Settings = VerdictSettings
    report = VerdictReport()

    def __init__(self, settings: VerdictSettings, seed: int) -> None:
        data = settings.data
        self._data, self._seed, self._scoring = data, seed, settings.reward
        self._margin = 0.0  # the verifier's, set by its exam
        self.sources = gather(data)
        self._vignettes = vignettes(self.sources.notes)
        self.training = train = [v for v in self._vignettes.values() if self._split(v.name) == "train"]
        if not train:
            raise ValueError(
                f"data: no training vignette in {data.path} with heldout {data.heldout} and max_words "
                f"{data.max_words}; give more notes, lower heldout or raise max_words"
            )
        own = (note for vignette in train for note in vignette.errors)
        self.injector = Injector(mine([*own, *self.sources.phrases]))
        self._plan = Plan(train, self.injector, data.quadrants, f"{seed}:train")
        heldout = [v for v in self._vignettes.values() if self._split(v.name) != "train"]
        named = f"{seed}:heldout"
        self._heldout = Plan(heldout, self.injector, data.quadrants, named, "held-out") if heldout else None

    @property
    def notice(self) -> str:
        """One line on the notes at hand, those left out, and what becomes of the others."""
        return f"{self.sources}; {self._plan}" + ("" if self._data.proposer_tries else f"; {BY_RULES}")

    def plan(self, index: int) -> Slot:
        """The index-th slot over the training vignettes; 2k and 2k+1 are twins."""
        return self._plan.slot(index)

    def heldout_plan(self, index: int) -> Slot:
        """The same over the held-out vignettes. Raises ValueError when there are none."""
        return self._heldout_of().slot(index)

    async def exam(self, ask: Complete) -> Exam:
        """The verifier's exam on the held-out vignettes; it fails when there are none. Its margin is used from then."""
        held = [v for v in self._vignettes.values() if self._split(v.name) != "train"]
        errors = [note for vignette in held for note in vignette.errors]
        cleans = [note for v in held for note in v.cleans or map(medec.clean_version, v.errors)]
        rng = random.Random(f"{self._seed}:exam")
        result = await verifier.exam(verifier.pairs_of(errors, rng), verifier.probes_of([*cleans, *errors], rng), ask)
        self._margin = result.threshold or 0.0
        return result.as_exam()

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """The labelled note of `slot`. A rewording that fails falls back to a rule, and so does an error of tier C."""
        plan = self._plan if self._split(slot.source) == "train" else self._heldout_of()
        wanted = plan.error_type(slot.index), plan.phrase(slot.index)
        bases = self.injector.that_say(self._vignettes[slot.source], *wanted)
        drawn = draft(self._vignettes[slot.source], slot.kind, bases, plan.pair_rng(slot.index), self._data.tier_c)
        if drawn is None:
            return Rejection(source=slot.source, reason=NoTask.NO_EDIT, detail="no new error fits the note")
        errors = self._vignettes[slot.source].errors
        proposed = await self._propose_error(drawn, errors, rng, complete, verify)
        if proposed.injection is not None:
            drawn = with_injection(drawn, proposed.injection)
        drawn = self._retold(drawn, slot)
        reworded = await self._reword(drawn, slot, rng, complete)
        sentences, log = drawn.sentences, list(drawn.edits)
        for edit in (outcome.edit for outcome in reworded if outcome.edit):
            sentences = edits.apply(sentences, edit)
            log.append(edit)
        sentences, noise = noisy(sentences, drawn.free, drawn.formal, self._data.noise_edits, rng, self._shared(slot))
        if slot.kind in SYNTHETIC and (
            len(noise) < LEAST_NOISE or len({edit.operator for edit in noise}) < LEAST_KINDS
        ):
            return Rejection(source=slot.source, reason=NoTask.NO_NOISE, detail="too few places for cosmetic edits")
        done = msgspec.structs.replace(drawn, sentences=sentences, edits=(*log, *noise))
        changing = {*drawn.free, *drawn.formal}
        assert all(done.sentences[i] == s for i, s in enumerate(drawn.sentences) if i not in changing)
        kept = (*proposed.reasons, *(name for outcome in reworded for name in outcome.outcomes))
        writers = [proposed.policy_version, *(outcome.policy_version for outcome in reworded)]
        labelled = self._labelled(slot, done, kept, [version for version in writers if version is not None])
        return msgspec.structs.replace(labelled, authored=proposed.authored)

    def open(self, task: Task) -> Turn:
        """The Doctor's prompt."""
        return Turn(messages=prompts.doctor_messages(task.context["sentences"]))

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """The reward table's value. Raises ValueError when episode and label are of different tasks."""
        if episode.task_id != label.task_id:
            raise ValueError(f"episode of task {episode.task_id} cannot be scored with the label of {label.task_id}")
        return reward.score_as(self._scoring, version, episode, truth_of(label))

    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        """A right reply with its reasoning, the medical one where a table holds it; the correction is the true one."""
        truth, sentences = truth_of(labelled.label), labelled.task.context["sentences"]
        if truth.sentence is None:
            return demonstrations.write(truth, sentences, rng, seen=reasons.in_favour(sentences, rng))
        return demonstrations.write(truth, sentences, rng, clause=_reason(labelled))

    def _split(self, vignette: str) -> str:
        return medec.split_of(vignette, self._data.heldout)

    def _heldout_of(self) -> Plan:
        if self._heldout is None:
            raise ValueError(f"data.heldout {self._data.heldout} holds no vignette back; raise it or give more notes")
        return self._heldout

    def _shared(self, slot: Slot) -> random.Random:
        """A fresh generator of the twins: their choice must not depend on how many draws their drafts took."""
        return random.Random(f"{self._seed}:{slot.index // 2}")

    def _retold(self, drawn: Draft, slot: Slot) -> Draft:
        """The draft told in another order; an augmented one also of somebody else. Twins draw alike."""
        source = edits.invert(drawn.sentences, drawn.edits)
        order = flow.told(source, drawn.focus, drawn.free, self._shared(slot))
        drawn = msgspec.structs.replace(drawn, order=() if list(order) == sorted(order) else order)
        sentences, log = retelling.retold(drawn.sentences, drawn.free, drawn.retold, self._shared(slot))
        return msgspec.structs.replace(drawn, sentences=sentences, edits=(*drawn.edits, *log))

    async def _propose_error(
        self,
        drawn: Draft,
        errors: Sequence[Note],
        rng: random.Random,
        complete: Complete,
        verify: Complete | None,
    ) -> proposals.Proposed:
        if verify is None or drawn.sentence is None or not drawn.open:
            return proposals.Proposed(injection=None)
        clean = edits.invert(drawn.sentences, drawn.edits)
        kind = pick_type(medec.ERROR_TYPES, rng)
        offer = proposals.Offer(sentences=clean, among=drawn.open, kind=kind, errors=tuple(errors), margin=self._margin)
        return await proposals.propose(offer, self._data.proposer_tries, complete, verify)

    async def _reword(self, drawn: Draft, slot: Slot, rng: random.Random, complete: Complete) -> list[_Reworded]:
        if slot.kind not in AUGMENTED:
            return []
        chosen = rewordable(drawn, self._data.reworded_sentences, self._shared(slot))
        sex = sex_of(drawn.sentences)
        tasks = [self._reword_one(drawn.sentences[i], i, sex, random.Random(rng.random()), complete) for i in chosen]
        return list(await asyncio.gather(*tasks))

    async def _reword_one(
        self, sentence: str, number: int, sex: str | None, rng: random.Random, complete: Complete
    ) -> _Reworded:
        reasons = list[str]()
        for _ in range(self._data.proposer_tries):
            written = await complete(prompts.scribe_reword_messages(sentence), rewording_tokens(sentence))
            text = written.text.strip()
            reason = "truncated" if written.truncated else gate.check(sentence, text, sex)
            if reason is None:
                edit = Edit(operator="reword:model", sentence=number, start=0, old=sentence, new=text)
                return _Reworded(edit=edit, reasons=tuple(reasons), policy_version=written.policy_version)
            reasons.append(f"reword:gate:{reason}")
        return _Reworded(edit=edits.cosmetic(sentence, number, rng), reasons=tuple(reasons))

    def _labelled(self, slot: Slot, done: Draft, kept: Sequence[str], versions: Sequence[int]) -> LabelledTask:
        sentences = edits.placed(done.sentences, done.order)
        content = json.dumps([self._seed, slot.seed, sentences])
        task_id = hashlib.sha256(content.encode()).hexdigest()[:16]
        provenance = Provenance(
            source=done.source,
            vignette=slot.source,
            kind=slot.kind,
            operators=(*(edit.operator for edit in done.edits), *([flow.OPERATOR] if done.order else []), *kept),
            model_written=bool(versions),
            policy_version=min(versions, default=0),
            tier=done.tier,
        )
        task = Task(
            env=ENV_ID,
            task_id=task_id,
            split=self._split(slot.source),
            context={"sentences": list(sentences)},
            limits=Limits(),
            provenance=provenance,
        )
        return LabelledTask(task=task, label=Label(task_id=task_id, truth=_truth(done)))


def _reason(labelled: LabelledTask) -> str | None:
    """What the tables hold against the error of this task: of an injected span, or the words that a person changed."""
    truth, source = truth_of(labelled.label), list(source_of(labelled))
    injected = next((edit for edit in edits_of(labelled.label) if edit.operator.startswith("inject:")), None)
    if injected is not None:
        return reasons.against(source, injected.sentence, injected.old, injected.new)
    assert truth.sentence is not None and truth.error_text is not None and truth.corrected_text is not None
    order = labelled.label.truth.get("order", ())
    at = order[truth.sentence] if order else truth.sentence
    wrong, right = demonstrations.changed_words(truth.error_text, truth.corrected_text)
    source[at] = truth.corrected_text
    return reasons.against(source, at, right, wrong)


def truth_of(label: Label) -> reward.Truth:
    """The label as the reward reads it."""
    return msgspec.convert({k: v for k, v in label.truth.items() if k not in ("edits", "order")}, reward.Truth)


def edits_of(label: Label) -> tuple[Edit, ...]:
    """The log of every edit of the note, by the numbers that the sentences have in the source note."""
    return msgspec.convert(label.truth["edits"], tuple[Edit, ...])


def source_of(labelled: LabelledTask) -> tuple[str, ...]:
    """The sentences of the source note: those of the task in their own order, every edit undone."""
    sentences = edits.unplaced(labelled.task.context["sentences"], labelled.label.truth.get("order", ()))
    return edits.invert(sentences, edits_of(labelled.label))


def rewording_tokens(sentence: str) -> int:
    """Maximum tokens of a rewording: the longest that the gate accepts, at three characters per token."""
    return 8 + int(len(sentence) * gate.LENGTH_RATIO[1] / 3)


def _truth(done: Draft) -> dict[str, object]:
    truth = reward.Truth(
        sentence_count=len(done.sentences),
        error_type=done.error_type,
        sentence=_told_at(done, done.sentence),
        error_text=done.error_text,
        corrected_text=done.corrected_text,
        twin=_twin(done),
    )
    log = msgspec.to_builtins(list(done.edits))
    return {**msgspec.to_builtins(truth), "edits": log, "order": list(done.order)}


def _twin(done: Draft) -> reward.Truth | None:
    if done.twin is None:
        return None
    return reward.Truth(**msgspec.structs.asdict(done.twin), sentence=_told_at(done, done.focus))


def _told_at(done: Draft, sentence: int | None) -> int | None:
    """Where a sentence of the source stands in the order that the note is told in."""
    return done.order.index(sentence) if done.order and sentence is not None else sentence
