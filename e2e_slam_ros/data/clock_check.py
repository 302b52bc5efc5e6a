"""Stamps that cannot be right: zero, negative, or far from all others; and clocks that differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# No recording of a room is longer. A stamp farther from the middle one belongs to another clock.
_LONGEST_NS = 30 * 24 * 3600 * 10**9


def implausible(stamps_ns: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which stamps (N,) are negative, or more than 30 days from the middle one.

    >>> implausible([10**18, 10**18 + 10**8, -5, 4 * 10**18]).tolist()
    [False, False, True, True]
    """
    stamps = np.asarray(stamps_ns, dtype=np.float64)
    if not stamps.size:
        return np.zeros(0, dtype=np.bool_)
    positive = stamps[stamps >= 0]
    middle = float(np.median(positive)) if positive.size else 0.0
    # The middle of an even number of stamps may lie between two clocks.
    middle = float(stamps[np.argmin(np.abs(stamps - middle))])
    return np.asarray((stamps < 0) | (np.abs(stamps - middle) > _LONGEST_NS))


def clocks_sentence(
    first: str, first_ns: Sequence[int], second: str, second_ns: Sequence[int]
) -> str:
    """Return a sentence if the times of two parts do not overlap, else "".

    >>> clocks_sentence("images", [50 * 10**9], "poses", [10**18])
    'the clocks differ: images are at 50.0 to 50.0 s, poses at 1000000000.0 to 1000000000.0 s'
    """
    if not len(first_ns) or not len(second_ns):
        return ""
    a, b, c, d = (
        *(min(first_ns) / 1e9, max(first_ns) / 1e9),
        *(min(second_ns) / 1e9, max(second_ns) / 1e9),
    )
    if a <= d and c <= b:
        return ""
    return (
        f"the clocks differ: {first} are at {a:.1f} to {b:.1f} s, {second} at {c:.1f} to {d:.1f} s"
    )
