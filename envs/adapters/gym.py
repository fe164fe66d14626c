"""The door for Gymnasium: texts in, texts out.

    import gymnasium
    env = gymnasium.make("envs.adapters.gym:MedSeRL-v0", game="lookup")
    text, info = env.reset(seed=7)                                  or options={"index": 3, "split": "public"}
    text, reward, terminated, truncated, info = env.step('look(id="c")')

`truncated` is an end by a limit, `terminated` any other. The reward comes with the last step.
"""

from __future__ import annotations

import string
from typing import Any

import gymnasium
import msgspec

from common.records import LIMITS_MET
from envs.adapters.session import Seen, Session
from envs.adapters.source import Source, source_of

ENV_ID = "MedSeRL-v0"
MOST_CHARACTERS = 1_000_000
_OPTIONS = ("index", "split")
_SAMPLED = 64


class Words(gymnasium.Space[str]):
    """Any text up to a length. Gymnasium's own Text refuses what is not of its alphabet: blanks and newlines too."""

    def __init__(self, most: int = MOST_CHARACTERS, seed: int | None = None) -> None:
        super().__init__(dtype=str, seed=seed)
        self.most = most

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Up to 64 printable characters. Masks mean nothing here: ValueError."""
        if mask is not None or probability is not None:
            raise ValueError("Words are sampled without a mask")
        letters = self.np_random.choice(list(string.printable), size=self.np_random.integers(_SAMPLED))
        return "".join(letters)[: self.most]

    def contains(self, x: Any) -> bool:
        """Whether it is a text that is short enough."""
        return isinstance(x, str) and len(x) <= self.most

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Words) and other.most == self.most

    def __repr__(self) -> str:
        return f"Words({self.most})"


class GameEnv(gymnasium.Env[str, str]):
    """A game as an environment of Gymnasium. Raises ValueError like `source_of`, whose arguments it takes."""

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(
        self,
        game: str | Source,
        split: str = "train",
        seed: int = 0,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode {render_mode!r}: episodes are texts, write ansi or leave it out")
        self.render_mode = render_mode
        self.observation_space, self.action_space = Words(), Words()
        self._session = Session(source_of(game, seed, **settings), split)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """The first text of an episode: of the task `options["index"]`, else of one that the seed draws.

        Without a seed the generator of the last one goes on. Raises ValueError for other options.
        """
        super().reset(seed=seed)
        given = options or {}
        if unknown := given.keys() - set(_OPTIONS):
            raise ValueError(f"reset has no option {min(unknown)}: write {' or '.join(_OPTIONS)}")
        if given.get("index") is None:
            drawn = int(self.np_random.integers(2**31)) if seed is None else seed
            return self._shown(self._session.reset(seed=drawn, split=given.get("split")))
        return self._shown(self._session.reset(index=given["index"], split=given.get("split")))

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """What the game answers. Raises ValueError where no episode is open."""
        seen = self._session.step(action)
        truncated = seen.reason in LIMITS_MET
        text, info = self._shown(seen)
        return text, seen.reward, seen.done and not truncated, truncated, info

    def render(self) -> str | None:  # type: ignore[override]
        """The chat so far."""
        if self.render_mode is None:
            return None
        return "\n\n".join(f"[{message.role}]\n{message.content}" for message in self._session.messages)

    def _shown(self, seen: Seen) -> tuple[str, dict[str, Any]]:
        return seen.text, {**self._session.info(), "tools": list(msgspec.to_builtins(seen.tools))}


gymnasium.register(id=ENV_ID, entry_point=f"{__name__}:{GameEnv.__name__}", order_enforce=False)
