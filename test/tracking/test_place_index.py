from __future__ import annotations

import time

import numpy as np

from e2e_slam_ros.tracking.place_index import PlaceIndex


def places(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 300, 32), dtype=np.uint8)


def seen_again(descriptors: np.ndarray, share: float, flips: float, seed: int) -> np.ndarray:
    """Some of a place's descriptors with bits flipped, the rest something else."""
    generator = np.random.default_rng(seed)
    bits = np.unpackbits(descriptors, axis=1)
    noisy = np.packbits(bits ^ (generator.random(bits.shape) < flips), axis=1)
    other = generator.integers(0, 256, descriptors.shape, dtype=np.uint8)
    return np.where(generator.random((len(noisy), 1)) < share, noisy, other)


def test_a_place_is_found_among_a_thousand_in_20_ms() -> None:
    index = PlaceIndex()
    everything = places(1000)
    for one in everything:
        index.add(one)
    times = []
    for k in range(0, 1000, 100):
        query = seen_again(everything[k], 0.4, 0.1, 10_000 + k)
        began = time.process_time()
        found = index.query(query, 5)
        times.append(time.process_time() - began)
        assert found[0] == k
    assert np.median(times) < 0.020


def test_only_older_places_where_asked() -> None:
    index = PlaceIndex()
    for one in places(10):
        index.add(one)
    assert index.query(places(10)[8], 5, before=5) == [] or 8 not in index.query(
        places(10)[8], 5, before=5
    )


def test_empty() -> None:
    assert PlaceIndex().query(places(1)[0], 3) == []


def test_what_is_alike_is_ordered_by_descriptors_that_are_near() -> None:
    index = PlaceIndex()
    everything = places(8)
    for one in everything:
        index.add(one)
    query = np.concatenate(
        [
            seen_again(everything[2], 0.6, 0.08, 1)[:150],
            seen_again(everything[5], 0.6, 0.08, 2)[:60],
        ]
    )
    assert index.most_alike(query, [0, 1, 5, 2, 7], 3)[:2] == [2, 5]
    assert index.most_alike(query, [4], 3) == [4]
    assert index.most_alike(query, [], 3) == []
    assert index.most_alike(query[:0], [3, 1], 1) == [3]
