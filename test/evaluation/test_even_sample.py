from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from e2e_slam_ros.evaluation.even_sample import EvenSample


@given(st.integers(1, 9), st.integers(0, 300))
def test_few_evenly_spread_items_are_kept_of_any_number(size: int, count: int) -> None:
    sample: EvenSample[int] = EvenSample(size)
    made = 0
    for item in range(count):
        if sample.wants_next():
            made += 1
            sample.offer(item)
        else:
            sample.skip()
        assert len(sample.items()) <= 2 * size
    kept = sample.items()
    assert len(kept) >= min(size, count)
    assert kept[:1] == list(range(count))[:1]
    assert len({b - a for a, b in zip(kept, kept[1:], strict=False)}) <= 1
    chosen = sample.chosen()
    assert len(chosen) == min(size, count)
    assert set(chosen) <= set(kept)
    if size > 1 and kept:
        assert (chosen[0], chosen[-1]) == (kept[0], kept[-1])
    assert made <= 2 * size + size * max(1, count // size).bit_length()
