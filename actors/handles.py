"""The types of the rollout side's actor handles (`common.remote`): one class for each actor, made of its methods."""

from __future__ import annotations

from actors.doctor import Doctor
from actors.engine import Engine
from actors.engine_pool import EnginePool
from actors.replay_buffer import ReplayBuffer
from actors.role import Role
from common.remote import Remote, remote


class EngineHandle:
    """A remote `Engine`."""

    __ray_ready__: Remote[[], bool]
    load = remote(Engine.load)
    generate = remote(Engine.generate)
    proceed = remote(Engine.proceed)
    sample = remote(Engine.sample)
    pause = remote(Engine.pause)
    resume = remote(Engine.resume)
    start_weight_update = remote(Engine.start_weight_update)
    update_weights = remote(Engine.update_weights)
    finish_weight_update = remote(Engine.finish_weight_update)
    load_adapter = remote(Engine.load_adapter)
    prove = remote(Engine.prove)
    check_health = remote(Engine.check_health)
    shutdown = remote(Engine.shutdown)
    kill_core = remote(Engine.kill_core)


class PoolHandle:
    """A remote `EnginePool`."""

    admit = remote(EnginePool.admit)
    quarantine = remote(EnginePool.quarantine)
    idle = remote(EnginePool.idle)
    engines = remote(EnginePool.engines)
    generate = remote(EnginePool.generate)
    proceed = remote(EnginePool.proceed)
    state = remote(EnginePool.state)


class BufferHandle:
    """A remote `ReplayBuffer`."""

    claim = remote(ReplayBuffer.claim)
    put_task = remote(ReplayBuffer.put_task)
    reject_claim = remote(ReplayBuffer.reject_claim)
    return_claims = remote(ReplayBuffer.return_claims)
    lease = remote(ReplayBuffer.lease)
    renew_lease = remote(ReplayBuffer.renew_lease)
    put_group = remote(ReplayBuffer.put_group)
    reject_lease = remote(ReplayBuffer.reject_lease)
    return_leases = remote(ReplayBuffer.return_leases)
    take_batch = remote(ReplayBuffer.take_batch)
    release = remote(ReplayBuffer.release)
    take_authored = remote(ReplayBuffer.take_authored)
    checkpointed = remote(ReplayBuffer.checkpointed)
    retire = remote(ReplayBuffer.retire)
    close = remote(ReplayBuffer.close)
    stats = remote(ReplayBuffer.stats)


class RoleHandle:
    """A remote `Scribe` or `Doctor`."""

    run = remote(Doctor.run)
    state = remote(Role.state)
