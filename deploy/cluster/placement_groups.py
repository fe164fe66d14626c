"""The placement groups of a run: requests those of gpu_layout.py from Ray, reports which ones wait, removes them."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import ray
from ray._private.state import available_resources_per_node
from ray.util.placement_group import PlacementGroup, placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from common.records import Record
from deploy.cluster.gpu_layout import Group, Node, preferred_node

WAIT_SECONDS = 10.0
"""A group without room after this time is reported, and again when the reason changes; it keeps waiting."""
POLL_SECONDS = 1.0


class PlacementRequest(Record):
    """A group that Ray places as soon as there is room, and again when one of its machines is lost."""

    group: Group
    handle: PlacementGroup
    together: bool  # all on one machine
    preferred: str | None  # id of the machine that it was asked for

    def bundle(self, index: int) -> dict[str, Any]:
        """The Ray options of the actor in one bundle."""
        strategy = PlacementGroupSchedulingStrategy(self.handle, placement_group_bundle_index=index)
        return {"num_cpus": 0, "num_gpus": self.group.gpus[index], "scheduling_strategy": strategy}

    @property
    def machine(self) -> str:
        """Id of the machine of its first bundle, once it is placed."""
        return str(placement_group_table(self.handle)["bundles_to_node_id"][0])

    @property
    def taken(self) -> dict[str, float]:
        """GPUs by machine: where it is, or where it was asked for while Ray places it."""
        found = placement_group_table(self.handle)["bundles_to_node_id"]
        taken: dict[str, float] = {}
        for index, gpus in enumerate(self.group.gpus):
            if machine := found.get(index) or self.preferred:
                taken[machine] = taken.get(machine, 0) + gpus
        return taken

    @property
    def placed(self) -> bool:
        """Whether Ray has placed the group."""
        return bool(placement_group_table(self.handle)["state"] == "CREATED")


class Groups:
    """The groups of one run. `one_machine` keeps them on the driver's machine; `notify` shows a message to the user."""

    def __init__(self, one_machine: bool, notify: Callable[[str], None]) -> None:
        self._one_machine, self._notify = one_machine, notify
        self._numbers = itertools.count()
        self._telling: dict[PlacementRequest, asyncio.Future[None]] = {}

    def nodes(self) -> list[Node]:
        """The machines that the weights reach, the driver's first."""
        here, free = ray.get_runtime_context().get_node_id(), available_resources_per_node()
        alive = sorted((node for node in ray.nodes() if node["Alive"]), key=lambda node: node["NodeID"] != here)
        return [
            Node(
                name=node["NodeID"],
                gpus=node["Resources"].get("GPU", 0),
                free=free.get(node["NodeID"], {}).get("GPU", 0),
            )
            for node in alive
            if self._only in (None, node["NodeManagerAddress"])
        ]

    def ask(self, group: Group) -> PlacementRequest:
        """Ask for a group: on the machine that the plan prefers, as long as that has room when Ray looks."""
        preferred = preferred_node(group, self._unclaimed())
        name = preferred.name if preferred else None
        handle = placement_group(
            group.bundles(self._only),
            strategy="STRICT_PACK" if preferred else "PACK",
            name=f"{group.name} #{next(self._numbers)}",  # one that is being removed still has its name
            _soft_target_node_id=name,
        )
        asked = PlacementRequest(group=group, handle=handle, together=preferred is not None, preferred=name)
        self._telling[asked] = asyncio.ensure_future(self._tell(asked))
        return asked

    def remove(self, asked: PlacementRequest) -> None:
        """Remove a group, which frees its resources and ends its actors."""
        self._telling.pop(asked).cancel()
        remove_placement_group(asked.handle)

    def watch(self, asked: PlacementRequest) -> None:
        """Report again if a group that was placed before has lost its machine and waits for another."""
        self._telling[asked].cancel()
        self._telling[asked] = asyncio.ensure_future(self._tell(asked))

    def _unclaimed(self) -> list[Node]:
        """The machines, less what this run's groups take: Ray counts a group only once its machine has reported."""
        taken = [asked.taken for asked in self._telling]
        return [
            msgspec.structs.replace(node, free=min(node.free, node.gpus - sum(one.get(node.name, 0) for one in taken)))
            for node in self.nodes()
        ]

    @property
    def _only(self) -> str | None:
        """The one machine's address, or None when any will do."""
        return ray.util.get_node_ip_address() if self._one_machine else None

    async def _tell(self, asked: PlacementRequest) -> None:
        told = ""
        while not await self._finds_room(asked):
            # Report changes: a lost machine's GPUs are still counted for the half minute in which Ray waits for it.
            line = waiting(asked.group, asked.together, self.nodes(), self._held())
            if line != told:
                self._notify(line)
            told = line
        if told:
            self._notify(f"{asked.group.name} is placed now")

    async def _finds_room(self, asked: PlacementRequest) -> bool:
        """Whether it is placed within WAIT_SECONDS."""
        end = asyncio.get_running_loop().time() + WAIT_SECONDS
        while not (placed := asked.placed) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(POLL_SECONDS)
        return placed

    def _held(self) -> dict[str, float]:
        """GPUs by kind of group."""
        held: dict[str, float] = {}
        for asked in self._telling:
            if asked.placed:
                held[asked.group.kind] = held.get(asked.group.kind, 0) + asked.group.wanted
        return held


def waiting(group: Group, together: bool, nodes: Sequence[Node], held: Mapping[str, float]) -> str:
    """A message on what a group waits for; `held` are the GPUs of the run's placed groups."""
    there, free = sum(node.gpus for node in nodes), sum(node.free for node in nodes)
    users = {**held, "others": there - free - sum(held.values())}
    told = ", ".join(f"{gpus:.3g} {kind}" for kind, gpus in users.items() if gpus > 0.001)
    left = f"{free:.3g} of them free" if free > 0.001 else "all in use"
    left += f" ({told})" if told else ""
    wanted = f"{group.wanted:.3g} GPU{'s' if group.wanted > 1 else ''}"
    where = " of one machine" if together and group.wanted > 1 else ""
    return (
        f"{group.name} waits for {wanted}{where}: the cluster has {there:.3g}, {left}; add a node or lower "
        f"{group.remedy}"
    )


def free_address() -> str:
    """ "host:port" of a free port on the machine where this runs, for the ranks to meet at."""
    host = ray.util.get_node_ip_address()
    with socket.socket() as free:
        free.bind((host, 0))
        return f"{host}:{free.getsockname()[1]}"
