"""Rendering of a built-in scene from the command line: threads and progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

from e2e_slam_ros.commands.terminal import progress_wanted, say

if TYPE_CHECKING:
    from e2e_slam_ros.data.frame import Frame, FrameReader

# Without a terminal: one line after this number of frames, a few seconds on one core.
_LINE_EVERY = 60


@contextmanager
def one_cpu_thread(device: str = "cpu") -> Iterator[None]:
    """Limit torch to one CPU thread inside the block. For any other device, change nothing.

    The renderer's operations are short. On a busy machine, threads that wait for each other cost
    ten times the time that they save.
    """
    if not device.startswith("cpu"):
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def rendered(reader: FrameReader) -> Iterator[Frame]:
    """Yield every frame. Progress is shown by a bar in a terminal, and by lines otherwise."""
    watched = progress_wanted()
    frames = tqdm(reader, desc="render", unit="frame", disable=not watched)
    for done, frame in enumerate(frames, start=1):
        yield frame
        if not watched and (done % _LINE_EVERY == 0 or done == len(reader)):
            say(f"rendered {done} of {len(reader)} frames")
