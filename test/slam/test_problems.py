"""Counting problems."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from e2e_slam_ros.slam.problems import ProblemCounter


def test_counts_from_many_threads_are_complete() -> None:
    counter = ProblemCounter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: counter.count("nan pose"), range(1000)))
    assert counter.count("zero quaternion") == 1
    assert counter.totals() == {"nan pose": 1000, "zero quaternion": 1}
