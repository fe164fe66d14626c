"""Engine: one vLLM AsyncLLM in a Ray actor. Only the modules engine*.py of this folder import vllm."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import time
import uuid
import zlib
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from actors.engine_arguments import arguments
from actors.engine_errors import readable_deaths
from actors.kv_use import KvUse
from common.chat import Bridge
from common.config import PoolSpec, RunSpec
from common.record import Ids, frozen
from common.records import Completion, Message, Sampled
from common.weights import SyncReport, progress_file

if TYPE_CHECKING:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.lora.request import LoRARequest
    from vllm.outputs import CompletionOutput
    from vllm.v1.engine.async_llm import AsyncLLM

LOG = logging.getLogger(__name__)

MIN_REPLY = 32
"""Tokens. An episode ends where a later turn has no room for as many (or for the limit per turn, if that is less)."""


class PromptTooLong(ValueError):
    """The prompt and the completion would not fit the model's context."""


class TransferFailed(RuntimeError):
    """New weights did not arrive whole; the engine still holds the process, but no policy that it may serve."""


@readable_deaths
class Engine:
    """One vLLM engine. `load` first; then `generate` at any concurrency, with weight updates in between.

    Whole weights: an update is `pause`, the sender's start/update/finish calls, `resume`. Adapter transport: one
    `load_adapter`. Both end with `prove`, in which the engine reports its version, checksum and canary log-probs.
    """

    def __init__(self, spec: RunSpec, pool: PoolSpec, engine_id: str) -> None:
        self.engine_id = engine_id
        self._spec = spec
        self._pool = pool
        self._version = 0
        self._adapter: LoRARequest | None = None
        self._checksum = ""
        self._paused_at = 0.0
        self._pause_seconds = 0.0
        self._kv_use = KvUse()
        self._llm: AsyncLLM
        self._chat: Bridge
        import vllm.v1.engine.async_llm  # noqa: F401  # here: it takes seconds, and the model may not be ready yet

    async def load(self, model_folder: Path) -> str:
        """Start vLLM on a model folder and call its weights version 0; returns the engine id."""
        from vllm.v1.engine.async_llm import AsyncLLM

        self._llm = AsyncLLM.from_engine_args(self._arguments(model_folder), stat_loggers=[lambda *_: self._kv_use])
        self._chat = Bridge(self._llm.get_tokenizer())
        await self._llm.update_weight_version("0")
        if self._spec.transport != "adapter":
            from vllm.distributed.weight_transfer.base import WeightTransferInitRequest

            await self._llm.init_weight_transfer_engine(WeightTransferInitRequest())
        self._forget_shared_memory()
        LOG.info("loaded %s", model_folder)
        return self.engine_id

    def _arguments(self, folder: Path) -> AsyncEngineArgs:
        return arguments(self._spec, self._pool, folder)

    async def generate(
        self, messages: tuple[Message, ...], n: int, max_tokens: int, temperature: float, likely: int = 0
    ) -> Sampled:
        """Sample n completions of one chat prompt; `likely` first tokens come with their log-probs.

        Raises PromptTooLong when prompt and completion exceed the model's context.
        """
        prompt_ids = await self.tokenize(messages)
        if len(prompt_ids) + max_tokens > self._spec.model.context:
            raise PromptTooLong(
                f"prompt of {len(prompt_ids)} and completion of {max_tokens} tokens exceed model.context "
                f"{self._spec.model.context}"
            )
        return await self.sample(prompt_ids, n, max_tokens, temperature, likely)

    async def proceed(self, prefix: Ids, messages: tuple[Message, ...], max_tokens: int, temperature: float) -> Sampled:
        """Sample one completion after all ids of an episode so far, which end with a sampled turn, and new messages.

        It is as short as the model's context demands. Raises PromptTooLong when not even MIN_REPLY tokens fit.
        """
        end = () if prefix[-1] == self._chat.end_of_turn else (self._chat.end_of_turn,)  # other ids end a reply too
        prompt_ids = (*prefix.tolist(), *end, *self._chat.suffix(messages))
        room = self._spec.model.context - len(prompt_ids)
        if room < min(MIN_REPLY, max_tokens):
            raise PromptTooLong(
                f"an episode of {len(prompt_ids)} tokens fills model.context {self._spec.model.context}"
            )
        return await self.sample(prompt_ids, 1, min(max_tokens, room), temperature)

    async def tokenize(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """The chat prompt's token ids, generation prompt included."""
        return self._chat.prompt(messages)

    async def sample(
        self, prompt_ids: tuple[int, ...], n: int, max_tokens: int, temperature: float, likely: int = 0
    ) -> Sampled:
        """Sample n completions of a tokenised prompt, with the log-prob and policy_version of every token.

        Requests have no seed: vLLM 0.32 rewinds a seeded generator when a prompt is read in chunks, which torch's CPU
        generator cannot do, so the engine would die.
        """
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        params = SamplingParams(
            n=n,
            temperature=temperature,
            max_tokens=max_tokens,
            logprobs=likely,
            stop_token_ids=[self._chat.end_of_turn],  # the model's own end may be another: Gemma's is <eos>
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        output = await self._run(prompt_ids, params)
        completions = tuple(self._completion(one, output.lora_request, likely) for one in output.outputs)
        return Sampled(
            prompt_ids=frozen(prompt_ids, np.int32), completions=completions, cached=output.num_cached_tokens or 0
        )

    async def _run(self, prompt_ids: tuple[int, ...], params: Any) -> Any:
        # The salt keeps a prompt's cached keys and values from being read under another version's weights.
        prompt = {"prompt_token_ids": list(prompt_ids), "cache_salt": f"v{self._version}"}
        final = None
        async for output in self._llm.generate(prompt, params, uuid.uuid4().hex, lora_request=self._adapter):
            final = output
        assert final is not None and final.finished
        return final

    def _completion(self, output: CompletionOutput, adapter: LoRARequest | None, likely: int) -> Completion:
        token_ids = list(output.token_ids)
        assert output.logprobs is not None
        logps = [position[token].logprob for position, token in zip(output.logprobs, token_ids, strict=True)]
        return Completion(
            text=output.text,
            token_ids=frozen(token_ids, np.int32),
            logps=frozen(logps, np.float32),
            versions=frozen(self._versions(output, adapter), np.int32),
            finish_reason=output.finish_reason or "length",
            engine=self.engine_id,
            first=tuple((one.decoded_token or "", one.logprob) for one in output.logprobs[0].values())
            if likely
            else (),
        )

    def _versions(self, output: CompletionOutput, adapter: LoRARequest | None) -> tuple[int, ...]:
        if self._spec.transport == "adapter":
            # The request's adapter: vLLM 0.32 leaves the completion's own `lora_request` empty.
            name = adapter.lora_name if adapter else "v0"
            return (int(name.removeprefix("v")),) * len(output.token_ids)
        spans = output.weight_versions or []
        versions = tuple(int(span.version) for span in spans for _ in range(span.end - span.start))
        assert len(versions) == len(output.token_ids), (spans, len(output.token_ids))
        return versions

    async def pause(self) -> None:
        """Pause running sequences; new ones wait."""
        self._paused_at = time.monotonic()
        await self._llm.pause_generation(mode="keep", clear_cache=False)

    async def start_weight_update(self) -> int:
        """Begin a reload, instead of one that was not finished; returns the number of workers, each of which needs the
        weights."""
        await self._answered(self._llm.collective_rpc("abandon_update"))
        await self._answered(self._llm.start_weight_update())
        return self._pool.tensor_parallel

    async def update_weights(self, info: dict[str, Any]) -> None:
        """Receive tensors. `info` is the `update_info` of the transport's engine in `actors.engine_worker`.

        Raises TransferFailed with what a worker says is wrong.
        """
        from vllm.distributed.weight_transfer.base import WeightTransferUpdateRequest

        if "path" in info:  # shm
            info = {**info, "progress": str(progress_file(Path(info["path"]), self.engine_id))}
        await self._answered(self._llm.update_weights(WeightTransferUpdateRequest(update_info=info)))
        faults = await self._answered(self._llm.collective_rpc("transfer_fault"))
        if fault := next(filter(None, faults), ""):
            raise TransferFailed(fault)

    async def finish_weight_update(self) -> None:
        """Make the new tensors the ones that are served."""
        await self._answered(self._llm.finish_weight_update())

    async def resume(self, version: int) -> None:
        """Set the version of the weights and resume sequences; their further tokens are recorded with `version`."""
        await self._llm.update_weight_version(str(version))
        self._version = version
        received = await self._llm.collective_rpc("received_checksum")
        assert len(set(received)) == 1, f"workers of {self.engine_id} received different weights: {received}"
        self._checksum = received[0]
        await self._llm.resume_generation()
        self._pause_seconds = time.monotonic() - self._paused_at
        LOG.info("serves policy_version %d after a pause of %.2f s", version, self._pause_seconds)

    async def load_adapter(self, version: int, folder: str) -> None:
        """Adapter transport: new sequences use the adapter in `folder`; running ones keep theirs.

        The workers prove it from the LoRA layers that they compute with (actors/adapter_proof.py).
        """
        from vllm.lora.request import LoRARequest

        request = LoRARequest(lora_name=f"v{version}", lora_int_id=version + 1, lora_path=folder)
        # In place: a retry, or a version that is made again after a fall back to a checkpoint, has the same name.
        await self._answered(self._llm.add_lora(structs.replace(request, load_inplace=True)))
        received = await self._answered(
            self._llm.collective_rpc("adapter_checksum", args=(request.lora_int_id, folder))
        )
        assert len(set(received)) == 1, f"workers of {self.engine_id} hold different adapters: {received}"
        self._adapter, self._version, self._checksum, self._pause_seconds = request, version, received[0], 0.0
        LOG.info("serves policy_version %d, by its adapter", version)

    async def prove(self, canary_ids: tuple[int, ...]) -> SyncReport:
        """This engine's version, checksum of the received weights, and log-probs of the canary tokens 1..T-1.

        The random state is reset here, so that later samples depend on the version and not on earlier requests.
        """
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        params = SamplingParams(
            max_tokens=1, temperature=1.0, prompt_logprobs=0, output_kind=RequestOutputKind.FINAL_ONLY
        )
        output = await self._run(canary_ids, params)
        await self._llm.collective_rpc("begin_draws", args=(self._seed(),))
        logps = tuple(
            position[token].logprob for position, token in zip(output.prompt_logprobs[1:], canary_ids[1:], strict=True)
        )
        return SyncReport(
            engine=self.engine_id,
            version=self._version,
            checksum=self._checksum,
            canary_logps=logps,
            pause_seconds=self._pause_seconds,
        )

    def _seed(self) -> int:
        """The sampling seed of this version: different for each slot, equal for an engine and its replacement."""
        slot = self.engine_id.split(".")[0]
        return zlib.crc32(f"{self._spec.seed} {slot} {self._version}".encode())

    async def check_health(self) -> float:
        """The largest KV cache use since the last call (0 to 1), once the core process has answered.

        Raises EngineDied when the core is gone.
        """
        await self._answered(self._llm.is_paused())
        return self._kv_use.take()

    async def _answered(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The core's answer. Raises EngineDied when the core dies: vLLM lets a call wait for its answer for ever."""
        answer = asyncio.ensure_future(call)
        while not answer.done():
            await self._llm.check_health()
            await asyncio.wait([answer], timeout=1)
        return answer.result()

    def process_ids(self) -> tuple[int, ...]:
        """This actor's process and its children."""
        import psutil

        here = psutil.Process()
        return (here.pid, *(child.pid for child in here.children(recursive=True)))

    def _forget_shared_memory(self) -> None:
        """Unlink the shared memory of vLLM's processes in /dev/shm (200 MB).

        All have mapped it by now, so it lives as long as they do; with a name it would outlive a killed engine.
        """
        maps = "\n".join(Path(f"/proc/{pid}/maps").read_text() for pid in self.process_ids())
        for path in set(re.findall(r"/dev/shm/psm_\w+", maps)):
            Path(path).unlink(missing_ok=True)

    async def shutdown(self) -> None:
        """End vLLM's processes."""
        LOG.info("ends")
        self._llm.shutdown()

    async def kill_core(self) -> None:
        """SIGKILL vLLM's processes: one that hangs would outlive this actor."""
        _, *below = self.process_ids()
        LOG.warning("kills vLLM's processes %s", below)
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
