"""Work in a thread, which is waited for even by who is stopped meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work in a thread, as `asyncio.to_thread`, but be cancelled only once it has ended.

    For work that writes to an open file: if that is closed meanwhile, its number may already be
    another file's, which then gets the bytes.
    """
    doing = functools.partial(work, *args, **kwargs)
    # No task: asyncio.run cancels those at its end, while their threads go on.
    working = asyncio.get_running_loop().run_in_executor(None, doing)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([working])
        working.exception()  # or asyncio logs that nobody has asked for it
        raise
