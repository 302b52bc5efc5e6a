"""Use of the machine's resources by a node's process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch


def use_threads(count: int) -> None:
    """Let torch use ``count`` CPU threads in this process; 0 leaves the choice to torch.

    With one thread, the other cores stay free for the executor and DDS. Their latency matters most
    on a robot.
    """
    if count > 0:
        torch.set_num_threads(count)


def memory_mb() -> int:
    """Return the resident memory of the process in MB. Outside Linux it is the peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() // 2**20
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak) // (2**20 if sys.platform == "darwin" else 2**10)
