"""What a node's process uses of the machine."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch


def use_threads(count: int) -> None:
    """Let torch use ``count`` CPU threads in this process; 0 leaves the choice to torch.

    One leaves the other cores to the executor and DDS, whose latency is what a robot feels.
    """
    if count > 0:
        torch.set_num_threads(count)


def memory_mb() -> int:
    """Return the process's resident memory; elsewhere than on Linux its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() // 2**20
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak) // (2**20 if sys.platform == "darwin" else 2**10)
