"""Files rendered by several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import torch
from tqdm import tqdm

from e2e_slam_ros.config.errors import TrainingError


def render_each(
    render: Callable[[int], object],
    seeds: Sequence[int],
    unit: str,
    processes: int = 1,
    progress: bool = False,
) -> None:
    """Call ``render`` with each seed, in this process or in several with one thread each.

    It can be interrupted: what is rendered stays.

    Args:
        render: writes the file of a seed. For several processes it must be picklable: a function
            of a module, or a `functools.partial` of one.
        unit: what a seed stands for, for the bar.
        processes: how many to use; 1 is this one.
        progress: show a bar.

    Raises:
        TrainingError: a process died.
        E2ESlamError: whatever ``render`` raises.

    >>> seen: list[int] = []
    >>> render_each(seen.append, [3, 4], "room")
    >>> seen
    [3, 4]
    """
    with tqdm(total=len(seeds), unit=unit, disable=not progress or not seeds) as bar:
        if processes == 1 or len(seeds) < 2:
            for seed in seeds:
                render(seed)
                bar.update(1)
            return
        # Spawned: a forked child inherits torch's thread pool in a state that can hang.
        pool = ProcessPoolExecutor(
            min(processes, len(seeds)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=torch.set_num_threads,
            initargs=(1,),
        )
        try:
            for job in as_completed([pool.submit(render, seed) for seed in seeds]):
                job.result()
                bar.update(1)
        except BrokenProcessPool as problem:
            raise TrainingError.from_parts(
                f"rendering, {unit} by {unit}",
                "a process that died",
                "all to finish",
                "see above for its message; with too little memory use fewer processes",
            ) from problem
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
