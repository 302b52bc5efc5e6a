"""Whether a process gives freed memory back at once."""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of glibc's mallopt(3) and their values, bytes. An array above the first is always
# mapped anew; 32 MB is the most that glibc takes. Free memory above the second is given back.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_LARGEST, _KEPT = 32 << 20, 64 << 20
_ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let this process keep up to 64 MB of freed memory for its next arrays.

    Mapping a keyframe makes and frees arrays of some megabytes many times. Given back each time,
    their memory comes again in pages of zeros: 30 000 page faults a keyframe, a fifth of its CPU
    time (docs/experiments.md). What the user has set in the environment stays.

    Returns:
        Whether it took effect; not on systems without glibc.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _ENVIRONMENT):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
