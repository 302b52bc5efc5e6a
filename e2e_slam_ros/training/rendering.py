"""Rendering of what a task learns from, before it starts."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import Protocol

from e2e_slam_ros.training.task import RunContext


class RenderedSet(Protocol):
    """Files that can be rendered.

    >>> from e2e_slam_ros.training.deepv2d.clip_set import ClipSet
    >>> hasattr(ClipSet, "missing"), hasattr(ClipSet, "render_missing")  # fulfils the protocol
    (True, True)
    """

    folder: Path

    def missing(self) -> Sized:
        """Return what has no usable file yet."""
        ...

    def render_missing(self, progress: bool = False, processes: int = 1) -> int:
        """Render it and return how many files there were."""
        ...


def render_missing(some: RenderedSet, what: str, context: RunContext, processes: int = 1) -> None:
    """Render what a set misses, and say so.

    Args:
        processes: how many to use.

    Raises:
        DataError: the folder cannot be written, the disk is full.
    """
    if missing := len(some.missing()):
        context.say(f"rendering {missing} {what} into {some.folder}")
        some.render_missing(context.progress, processes)
