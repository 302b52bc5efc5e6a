"""Association of two streams by time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def associate(
    first_ns: npt.NDArray[np.int64], second_ns: npt.NDArray[np.int64], tolerance_ns: int
) -> npt.NDArray[np.int64]:
    """Pair each stamp of ``first_ns`` with at most one of ``second_ns``.

    The closest pair is made first, and every stamp is used once. Two colour images therefore never
    share a depth image. Among equal distances the earlier pair wins.

    Args:
        first_ns: (N,) increasing stamps, nanoseconds.
        second_ns: (M,) increasing stamps, nanoseconds.
        tolerance_ns: largest difference within a pair, inclusive.

    Returns:
        (N,) index into ``second_ns``, -1 for a stamp without a partner.

    >>> associate(np.array([0, 100, 200]), np.array([4, 205]), tolerance_ns=10).tolist()
    [0, -1, 1]
    """
    result = np.full(len(first_ns), -1, dtype=np.int64)
    low = np.searchsorted(second_ns, first_ns - tolerance_ns, side="left")
    high = np.searchsorted(second_ns, first_ns + tolerance_ns, side="right")
    counts = high - low
    left = np.repeat(np.arange(len(first_ns)), counts)
    starts = np.cumsum(counts) - counts
    right = np.arange(len(left)) - np.repeat(starts, counts) + np.repeat(low, counts)
    difference = np.abs(first_ns[left] - second_ns[right])
    taken = np.zeros(len(second_ns), dtype=bool)
    for pair in np.lexsort((right, left, difference)):
        i, j = left[pair], right[pair]
        if result[i] < 0 and not taken[j]:
            result[i] = j
            taken[j] = True
    return result
