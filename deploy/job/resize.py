"""Live resizing of a job: which fields can change, how a change is requested, and what the driver does about it.

    medserl apply                                     the driver, at its next heartbeat
      applied.json -> compare -> change.json  ------->  check again -> resize -> spec.yaml, applied.json, changes.jsonl
      changed.json <----------------------------------  answer

All files are in the run's folder and written atomically.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from pydantic import ValidationError

from common.config import RunSpec
from common.files import write_whole
from common.records import Record
from common.spec_errors import problem_line
from deploy.job.run_folder import RunFolder

Sizes = dict[str, int]
"""Field of the spec -> number of actors."""

NEW_RUN = (
    "backend",
    "envs",
    "seed",
    "model.",
    "warm_up.",
    "scribe.",
    "learner.batch_groups",
    "learner.ranks",
    "learner.zero_stage",
    "learner.lora_",
)
"""Fields that journal and checkpoints depend on: a run keeps them to its end."""

ELSEWHERE = ("model.cache",)
"""Fields among them of which only this machine depends: a run that was moved may have others."""

NAMED_BY = {"pools": "name", "envs": "id"}
"""Lists of the spec, and the field by which one of their sections is named."""

FOUND_BY = ("name", "runs")
"""Where the run is: the start may have settled on another name, and nothing else about them can be meant."""


class Edit(Record):
    """A requested change of one field of the spec."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.field}: {self.before} -> {self.after}"


class ResizeRequest(Record):
    """change.json: the wanted sizes, and what the user's file says now."""

    id: str
    sizes: Sizes
    file: dict[str, Any]


class Answer(Record):
    """changed.json. `refused` says why nothing was changed; empty when it was."""

    id: str
    refused: str = ""


def sizes(spec: RunSpec) -> Sizes:
    """The fields that can change during a run, with their values."""
    engines = {f"pools.{pool.name}.engines": pool.engines for pool in spec.pools}
    return {"rollout.scribes": spec.rollout.scribes, "rollout.doctors": spec.rollout.doctors, **engines}


def resized(spec: RunSpec, wanted: Mapping[str, int]) -> RunSpec:
    """The spec with other sizes. Raises ValueError for a field that is none, or a number that cannot be."""
    if unknown := wanted.keys() - sizes(spec):
        raise ValueError(f"{', '.join(sorted(unknown))} cannot change; what can is {', '.join(sizes(spec))}")
    content = spec.model_dump()
    for pool in content["pools"]:
        pool["engines"] = wanted.get(f"pools.{pool['name']}.engines", pool["engines"])
    for name in ("scribes", "doctors"):
        content["rollout"][name] = wanted.get(f"rollout.{name}", content["rollout"][name])
    try:
        return RunSpec.model_validate(content)
    except ValidationError as error:
        raise ValueError(problem_line(error.errors()[0])) from None


def edits(new: RunSpec, given: frozenset[str], old_file: RunSpec, effect: RunSpec) -> list[Edit]:
    """What a user who changed his file from `old_file` to `new` means to change of the spec in `effect`.

    A field in which the file did not change was not edited, though flags of the start may have set it otherwise; but
    what is `given` as a flag now is meant. `model.dtype: auto` is the run's own, whatever that became.
    """
    new = new.concrete(effect.model.dtype)
    wanted, was, now = (dict(_fields(spec.model_dump(mode="json"))) for spec in (new, old_file, effect))
    return [
        Edit(field=field, before=now[field], after=value)
        for field, value in wanted.items()
        if field in now and field not in FOUND_BY and value != now[field]
        if value != was.get(field) or any(field == flag or field.startswith(f"{flag}.") for flag in given)
    ]


def refusal(edit: Edit) -> str:
    """Why this cannot change during the run, and what to do instead."""
    if edit.field.startswith(NEW_RUN):
        return f"{edit} cannot change in a run: start a new one with the edited spec and another name"
    return f"{edit} cannot change during the run: stop it (medserl stop), then --resume with the edited spec"


def changed_for_resume(spec: RunSpec, effect: RunSpec) -> list[Edit]:
    """What a run depends on and `spec` has otherwise than the run that was `effect`. `model.dtype: auto` is the run's.

    Unlike `edits`, no matter what the file said: a flag of the start that was forgotten would go unnoticed.
    """
    wanted, now = (dict(_fields(one.model_dump(mode="json"))) for one in (spec.concrete(effect.model.dtype), effect))
    changed = [
        Edit(field=field, before=now.get(field), after=wanted.get(field))
        for field in dict.fromkeys((*now, *wanted))
        if field.startswith(NEW_RUN) and field not in ELSEWHERE and now.get(field) != wanted.get(field)
    ]
    others = [edit for edit in changed if edit.field in NAMED_BY]  # other games: their settings differ anyhow
    return others or changed


def _fields(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf by its dotted name; pools and games by their names, which are one leaf more, in their order."""
    for name, value in content.items():
        if not prefix and (key := NAMED_BY.get(name)):
            yield name, [item[key] for item in value]
            value = {item[key]: item for item in value}
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


class LiveResize:
    """The driver's side. `use` makes the run follow another spec."""

    def __init__(
        self,
        folder: RunFolder,
        use: Callable[[RunSpec], None],
        version: Callable[[], int],
        notify: Callable[[str], None],
    ) -> None:
        self._folder, self._use, self._version, self._notify = folder, use, version, notify

    def poll(self) -> None:
        """Apply the change requested in the run's folder, if there is one. No content of that file can end the run."""
        if not self._folder.change.is_file():
            return
        asked = ResizeRequest(id="", sizes={}, file={})
        try:
            data = self._folder.change.read_bytes()
            self._folder.change.unlink()
            asked = msgspec.json.decode(data, type=ResizeRequest)
            self._make(asked)
            refused = ""
        except (ValueError, OSError, msgspec.DecodeError) as error:
            refused = " ".join(str(error).split())
            self._notify(f"a requested change was not made ({self._folder.change.name}: {refused})")
        try:
            write_whole(self._folder.answer, msgspec.json.encode(Answer(id=asked.id, refused=refused)))
        except OSError as error:
            self._notify(f"the change could not be answered ({error})")

    def _make(self, asked: ResizeRequest) -> None:
        spec, file = resized(self._folder.spec, asked.sizes), RunSpec.model_validate(asked.file)
        before = sizes(self._folder.spec)
        made = [Edit(field=f, before=before[f], after=after) for f, after in asked.sizes.items() if after != before[f]]
        when = {"time": time.time(), "policy_version": self._version()}
        lines = [{**when, "field": edit.field, "from": edit.before, "to": edit.after} for edit in made]
        with (self._folder.path / "changes.jsonl").open("ab") as log:
            log.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        self._folder.record(spec, file)
        self._use(spec)
        for edit in made:
            self._notify(f"{edit} (medserl apply)")
