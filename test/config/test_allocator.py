"""Freed memory is used again instead of being given back."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from e2e_slam_ros.config.allocator import keep_freed_memory

# Arrays of 12 MB, made and freed again: page faults of the last rounds.
_ROUNDS = """
import resource
import numpy
from e2e_slam_ros.config.allocator import keep_freed_memory
{call}
for number in range(20):
    if number == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [numpy.ones(3 << 20, numpy.float32) for _ in range(4)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(call: str) -> int:
    theirs = ("MALLOC_", "GLIBC_TUNABLES")
    unset = {key: value for key, value in os.environ.items() if not key.startswith(theirs)}
    code = _ROUNDS.format(call=call)
    run = [sys.executable, "-c", code]
    return int(subprocess.run(run, env=unset, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_memory_is_used_again() -> None:
    assert _faults("keep_freed_memory()") < 1000
    assert _faults("") > 10_000


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert not keep_freed_memory()
