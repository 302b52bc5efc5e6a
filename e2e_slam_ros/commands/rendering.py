"""Rendering a built-in scene from the command line: how fast, and what is said meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

from e2e_slam_ros.commands.terminal import progress_wanted, say

if TYPE_CHECKING:
    from e2e_slam_ros.data.frame import Frame, FrameReader

# Without a terminal: a line after so many frames, a few seconds' work on one core.
_LINE_EVERY = 60


@contextmanager
def one_cpu_thread(device: str = "cpu") -> Iterator[None]:
    """Let torch use one CPU thread inside the block; elsewhere than on a CPU, change nothing.

    The renderer's operations are short: on a busy machine threads that wait for one another
    cost ten times what they save.
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
    """Yield every frame; a bar shows how far it is, or lines where nobody watches."""
    watched = progress_wanted()
    frames = tqdm(reader, desc="render", unit="frame", disable=not watched)
    for done, frame in enumerate(frames, start=1):
        yield frame
        if not watched and (done % _LINE_EVERY == 0 or done == len(reader)):
            say(f"rendered {done} of {len(reader)} frames")
