"""Types of remote calls: what mypy knows of `handle.method.remote(...)`, for Ray's handles and for the fakes of tests.

Ray's own handles have no types that follow an actor's class, unless every method of it is decorated by Ray. A handle
here is a class whose attributes are made of the actor's methods, so a renamed method or argument is an error wherever
it is called:

    class BufferHandle:
        put_group = remote(ReplayBuffer.put_group)

    await handle.put_group.remote(group)    # bool, as ReplayBuffer.put_group says
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Answer = TypeVar("Answer", covariant=True)


class Remote(Protocol[Arguments, Answer]):
    """A method of an actor in another process."""

    def remote(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Awaitable[Answer]:
        """Begin the call. Awaiting the answer raises what the method raised, or RayActorError when its actor died."""


class Ready(Protocol):
    """Any actor's handle."""

    @property
    def __ray_ready__(self) -> Remote[[], bool]:
        """Answered once the actor is placed and constructed."""


@overload
def remote(
    method: Callable[Concatenate[Any, Arguments], Coroutine[Any, Any, Result]],
) -> Remote[Arguments, Result]: ...


@overload
def remote(method: Callable[Concatenate[Any, Arguments], Result]) -> Remote[Arguments, Result]: ...


def remote(method: Any) -> Any:
    """The type of `method`, called through a handle. For class bodies that are only types: nothing can be called."""
    return cast(Any, method)
