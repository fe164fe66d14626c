"""The Ray cluster that a job would join, and whether it still answers: `ray.init` alone waits for minutes, silently."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import grpc
from ray._common.utils import get_ray_address_file
from ray._private import services

ANSWER_SECONDS = 40.0
"""A busy machine's cluster gets this long to answer."""


def running_cluster() -> str | None:
    """`host:port` of the cluster that `ray.init` would join; None where it starts one of its own.

    Raises ValueError, one line that says what named the cluster and what to do, when nothing or a stranger answers.
    """
    try:
        address: str | None = services.canonicalize_bootstrap_address(None)
    except (ValueError, ConnectionError) as error:
        raise ValueError(f"RAY_ADDRESS: {error}; write host:port, or unset RAY_ADDRESS to run without") from None
    if address is not None and _is_another_users():
        print(f"Ray at {address} is another user's: this run starts its own (RAY_ADDRESS={address} joins that one)")
        return None
    if address is not None and (fault := _fault(address)):
        raise ValueError(f"Ray at {address} does not answer ({fault}): {_advice()}")
    return address


def _is_another_users() -> bool:
    """Whether the cluster was found by a file that another user's `ray start` wrote: actors there are that user's
    processes, and may not write this user's run."""
    if os.environ.get("RAY_ADDRESS"):
        return False
    try:
        return Path(get_ray_address_file(None)).stat().st_uid != os.geteuid()
    except FileNotFoundError:  # found in another way, or stopped meanwhile
        return False


def _advice() -> str:
    if os.environ.get("RAY_ADDRESS"):
        return "start it, or unset RAY_ADDRESS to run without"
    return f"{get_ray_address_file(None)} names it, of a cluster that is gone: run `ray stop`, which removes that file"


def _fault(address: str) -> str:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    with closing(grpc.insecure_channel(address)) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=ANSWER_SECONDS / 2)
        except grpc.FutureTimeoutError:
            return "something else listens there"
    return ""
