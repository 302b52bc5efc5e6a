"""One line about the machine that figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from e2e_slam_ros import __version__


def machine_line(device: str) -> str:
    """Return processor, cores, memory, ``device`` and the versions that matter for speed."""
    parts = [
        f"{_processor()}, {_cores()} cores",
        f"{_memory_gib():.0f} GiB" if _memory_gib() else "",
        f"device {device}",
        f"Python {platform.python_version()}, torch {torch.__version__}",
        f"e2e_slam_ros {__version__}",
    ]
    return " · ".join(part for part in parts if part)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return 0.0
