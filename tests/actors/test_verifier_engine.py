"""The frozen verifier on a real vLLM engine: the log-probs of its two letters, and the margin made of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import torch

from actors.engine import Engine
from actors.engine_pool import EnginePool
from actors.scribe import LIKELY, verifying
from common.chat import Bridge
from envs.contract.env import Written
from envs.verdict.prompts import verifier_messages
from envs.verdict.scribe.verifier import LETTERS, REPLY_TOKENS, margin
from tests.actors.engine_cases import Handle, engine_spec, vllm_environment
from tests.actors.lettered import lettered_model

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

SPEC = engine_spec()
CLOSE = 1e-3  # nats, in float32
NOTE = ("A man has fever and a cough.", "Culture grows a pneumococcus.", "He is given amoxicillin.")
RIGHT, OTHER = NOTE[2], "He is given warfarin for his swollen knee."
ORDERS = ((RIGHT, OTHER), (OTHER, RIGHT))


@pytest.fixture(scope="module")
def lettered(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lettered_model(SPEC, tiny_model, tmp_path_factory.mktemp("lettered"), NOTE, OTHER)


@pytest.fixture(scope="module")
async def pool(lettered: Path) -> AsyncIterator[Any]:
    """The handle of a pool with one engine, as the Scribe and the exam hold it."""
    with vllm_environment(SPEC):
        engine = Engine(SPEC, SPEC.pools[0], "verifier-0")
        await engine.load(lettered)
        pool = EnginePool("verifier")
        await pool.admit("verifier-0", Handle(engine))
        yield Handle(pool)
        await engine.shutdown()


def by_transformers(folder: Path) -> Any:
    """log p(A) - log p(B) of the first token after a prompt, letters with a blank before them included."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    bridge = Bridge(tokenizer)

    @torch.no_grad()
    def preference(versions: tuple[str, str]) -> tuple[float, list[float]]:
        ids = bridge.prompt(verifier_messages(NOTE, 2, versions))
        logps_V = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        likely = logps_V.topk(LIKELY)
        texts = [tokenizer.decode([token]).strip() for token in likely.indices.tolist()]
        one, two = (
            max(lp for lp, text in zip(likely.values.tolist(), texts, strict=True) if text == x) for x in LETTERS
        )
        return one - two, likely.values.tolist()

    return preference


async def test_the_likely_first_tokens_are_those_of_the_model_with_its_own_log_probs(pool: Any, lettered: Path) -> None:
    preference = by_transformers(lettered)
    for versions in ORDERS:
        written: Written = await verifying(pool)(verifier_messages(NOTE, 2, versions), REPLY_TOKENS)
        found = sorted((logp for _, logp in written.first), reverse=True)
        assert LIKELY <= len(found) <= LIKELY + 1, "and the sampled one, where it is another"
        assert found[:LIKELY] == pytest.approx(preference(versions)[1], abs=CLOSE)
        said = {text.strip() for text, _ in written.first}
        assert set(LETTERS) <= said


async def test_the_margin_is_that_of_a_computation_without_an_engine_in_both_orders(pool: Any, lettered: Path) -> None:
    preference = by_transformers(lettered)
    (one, _), (two, _) = (preference(versions) for versions in ORDERS)
    assert one > 100 * CLOSE and two < -100 * CLOSE, "it follows the sentence and not the place"
    assert abs(one + two) > 5 * CLOSE, "and not equally in both orders, so a margin of one alone would show"
    found = await margin(NOTE, 2, RIGHT, OTHER, verifying(pool))
    assert found == pytest.approx(min(one, -two), abs=2 * CLOSE)
    back = await margin(NOTE, 2, OTHER, RIGHT, verifying(pool))
    assert back == pytest.approx(min(two, -one), abs=2 * CLOSE)


async def test_many_questions_at_once_get_the_same_answers(pool: Any) -> None:
    asked = [margin(NOTE, 2, right, other, verifying(pool)) for right, other in ORDERS * 8]
    found = await asyncio.gather(*asked)
    for at, value in enumerate(found):
        assert value == pytest.approx(found[at % 2], abs=2 * CLOSE)


async def test_replies_that_are_only_sampled_carry_no_likely_tokens(pool: Any) -> None:
    sampled = await pool.generate.remote("scribe", verifier_messages(NOTE, 2, ORDERS[0]), 2, 4, 1.0)
    assert [one.first for one in sampled.completions] == [(), ()]


async def test_a_question_that_does_not_fit_the_context_is_no_opinion(pool: Any) -> None:
    long = tuple(f"Sentence {number} tells of fever and cough." for number in range(400))
    assert await margin(long, 2, RIGHT, OTHER, verifying(pool)) is None
