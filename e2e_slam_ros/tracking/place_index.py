"""Index of the keyframes that look like an image.

A bag of binary words without a vocabulary to train or to ship: a word is a fixed random choice
of a descriptor's bits, so similar descriptors often share it (locality-sensitive hashing: Indyk
and Motwani, STOC 1998). Rare words weigh more (Sivic and Zisserman, ICCV 2003; Galvez-Lopez and
Tardos, T-RO 2012).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.corners import DESCRIPTOR_BYTES, Descriptors

_TABLES = 6
_BITS = 14
_SEED = 7


class PlaceIndex:
    """An inverted file of binary words.

    Example:
        >>> generator, places = np.random.default_rng(0), PlaceIndex()
        >>> looks = generator.integers(0, 256, (3, 20, DESCRIPTOR_BYTES), dtype=np.uint8)
        >>> for descriptors in looks:
        ...     places.add(descriptors)
        >>> len(places), places.query(looks[1], count=1)
        (3, [1])
    """

    def __init__(self) -> None:
        generator = np.random.default_rng(_SEED)
        bits = DESCRIPTOR_BYTES * 8
        self._choice = np.stack([generator.permutation(bits)[:_BITS] for _ in range(_TABLES)])
        self._postings: dict[int, list[int]] = {}
        self._sizes: list[float] = []

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, descriptors: Descriptors) -> None:
        """Add the next keyframe, by its descriptors (N, 32)."""
        index = len(self._sizes)
        words = np.unique(self._words(descriptors))
        for word in words.tolist():
            self._postings.setdefault(word, []).append(index)
        self._sizes.append(float(max(1, len(words))))

    def query(self, descriptors: Descriptors, count: int, before: int | None = None) -> list[int]:
        """Return the keyframes that share the most words with an image, best first.

        Args:
            descriptors: (N, 32) of the image.
            count: largest number of keyframes to return.
            before: only keyframes of a lower index.
        """
        last = len(self) if before is None else max(0, min(before, len(self)))
        if not last or not len(descriptors):
            return []
        scores = np.zeros(len(self))
        total = len(self)
        for word in np.unique(self._words(descriptors)).tolist():
            seen = self._postings.get(word)
            # A word that every third keyframe has says nothing and costs most.
            if seen is not None and len(seen) <= max(10, total // 3):
                scores[seen] += np.log(1.0 + total / len(seen))
        scores /= np.sqrt(np.asarray(self._sizes))
        scores = scores[:last]
        order = np.lexsort((np.arange(last), -scores))[:count]
        return [int(k) for k in order if scores[k] > 0.0]

    def _words(self, descriptors: Descriptors) -> npt.NDArray[np.int64]:
        bits = np.unpackbits(descriptors, axis=1)
        powers = 1 << np.arange(_BITS, dtype=np.int64)
        words = bits[:, self._choice].astype(np.int64) @ powers
        return np.asarray(words + (np.arange(_TABLES) << _BITS))
