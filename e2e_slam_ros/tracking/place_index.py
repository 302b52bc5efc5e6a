"""Index of the keyframes that look like an image.

A bag of binary words without a vocabulary to train or to ship: a word is a fixed random choice
of a descriptor's bits, so similar descriptors often share it (locality-sensitive hashing: Indyk
and Motwani, STOC 1998). Rare words weigh more (Sivic and Zisserman, ICCV 2003; Galvez-Lopez and
Tardos, T-RO 2012).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.corners import DESCRIPTOR_BYTES, Descriptors

_TABLES = 6
_BITS = 14
_SEED = 7
_FIRST_BYTES = 16
# Bits in which two descriptors of the same corner differ at most.
_NEAR_BITS = 40
# Number of ones in each pair of bytes.
_ONES = np.unpackbits(
    np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1
).sum(axis=1, dtype=np.uint8)


class PlaceIndex:
    """Which keyframe has which binary word.

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
        # Bit k of row w says whether keyframe k has word w: 12 kB a keyframe.
        self._present = np.zeros((_TABLES << _BITS, _FIRST_BYTES), np.uint8)
        self._counts = np.zeros(_TABLES << _BITS, np.int64)
        self._sizes: list[float] = []
        self._descriptors: list[Descriptors] = []
        self._words_of: list[npt.NDArray[np.int32]] = []

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, descriptors: Descriptors) -> None:
        """Add the next keyframe, by its descriptors (N, 32)."""
        byte, bit = divmod(len(self._sizes), 8)
        if byte == self._present.shape[1]:
            self._present = np.concatenate([self._present, np.zeros_like(self._present)], axis=1)
        every = self._words(descriptors)
        self._descriptors.append(descriptors)
        self._words_of.append(every.astype(np.int32))
        words = np.unique(every)
        self._present[words, byte] |= np.uint8(1 << bit)
        self._counts[words] += 1
        self._sizes.append(float(max(1, len(words))))

    def query(self, descriptors: Descriptors, count: int, before: int | None = None) -> list[int]:
        """Return the keyframes that share the most words with an image, best first.

        Args:
            descriptors: (N, 32) of the image.
            count: largest number of keyframes to return.
            before: only keyframes of a lower index.
        """
        total = len(self)
        last = total if before is None else max(0, min(before, total))
        if not last or not len(descriptors):
            return []
        words = np.unique(self._words(descriptors))
        seen = self._counts[words]
        # A word that every third keyframe has says nothing.
        use = (seen > 0) & (seen <= max(10, total // 3))
        weights = np.log(1.0 + total / seen[use]).astype(np.float32)
        rows = self._present[words[use], : -(-last // 8)]
        has = np.unpackbits(rows, axis=1, count=last, bitorder="little")
        scores = (weights @ has.astype(np.float32)) / np.sqrt(self._sizes[:last])
        order = np.lexsort((np.arange(last), -scores))[:count]
        return [int(k) for k in order if scores[k] > 0.0]

    def most_alike(self, descriptors: Descriptors, among: Sequence[int], count: int) -> list[int]:
        """Return the keyframes that have the most of an image's descriptors, best first.

        Two descriptors are compared where they share a word. They are of the same corner where
        40 bits differ at most. That takes a third of the time of comparing all with all.

        Args:
            descriptors: (N, 32) of the image.
            among: keyframes.
            count: largest number of keyframes to return.
        """
        if not among or not len(descriptors):
            return list(among[:count])
        asked = self._words(descriptors)
        words = np.concatenate([self._words_of[k] for k in among])
        theirs = np.concatenate([self._descriptors[k] for k in among])
        owner = np.repeat(np.arange(len(among)), [len(self._words_of[k]) for k in among])
        pairs = [_equal_pairs(asked[:, table], words[:, table]) for table in range(_TABLES)]
        rows, columns = np.concatenate(pairs, axis=1)
        differ = _by_twos(descriptors)[rows] ^ _by_twos(theirs)[columns]
        near = _ONES[differ].sum(1, dtype=np.int64) <= _NEAR_BITS
        found = np.unique(owner[columns[near]] * len(descriptors) + rows[near])
        matches = np.bincount(found // len(descriptors), minlength=len(among))
        return [among[i] for i in np.lexsort((np.arange(len(among)), -matches))[:count]]

    def _words(self, descriptors: Descriptors) -> npt.NDArray[np.int64]:
        bits = np.unpackbits(descriptors, axis=1)
        powers = 1 << np.arange(_BITS, dtype=np.int64)
        words = bits[:, self._choice].astype(np.int64) @ powers
        return np.asarray(words + (np.arange(_TABLES) << _BITS))


def _by_twos(descriptors: Descriptors) -> npt.NDArray[np.uint16]:
    return np.ascontiguousarray(descriptors).view(np.uint16)


def _equal_pairs(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Return the indices (2, P) of all pairs of equal values of two arrays (N,), (M,)."""
    order = np.argsort(second, kind="stable")
    ordered = second[order]
    begin = np.searchsorted(ordered, first, "left")
    counts = np.searchsorted(ordered, first, "right") - begin
    rows = np.repeat(np.arange(len(first)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([rows, order[np.repeat(begin, counts) + within]])
