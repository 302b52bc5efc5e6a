"""Print how much memory a mapped keyframe leaves behind: run by `test_pipeline.py` as a process.

Maps a walk along a wall into a map that is full after the first keyframes, and then as many
keyframes again for each leak that it is told to make: tensors of that size, kept for ever.
"""

from __future__ import annotations

import gc
import json
import re
import sys
from pathlib import Path

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.slam.pipeline import SlamPipeline
from synthetic import frame, pose

MAX_SURFELS = 5000
WARM_UP, MEASURED = 60, 100
STEP_M = 0.2


def resident_bytes() -> int:
    """Memory of this process that is in RAM; unlike tracemalloc it counts tensors."""
    gc.collect()
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def map_one(system: SlamPipeline, index: int) -> int:
    """Map the keyframe at one place of the walk; return the size of the map."""
    item = frame(index, pose(x=STEP_M * index))
    return system.map_keyframe(item, system.choose_keyframe(item)).fusion.total


def growth(leaks: list[int]) -> list[float]:
    """Return for each leak, in bytes a keyframe, how many bytes a keyframe were left behind."""
    torch.set_num_threads(1)
    config = Config().with_values({"map.max_surfels": MAX_SURFELS})
    system = SlamPipeline(config, torch.device("cpu"))
    sizes = [map_one(system, index) for index in range(WARM_UP)]
    assert max(sizes) <= MAX_SURFELS < sum(sizes)
    index, kept, found = WARM_UP, [], []
    for leak in leaks:
        before = resident_bytes()
        for _ in range(MEASURED):
            map_one(system, index)
            index += 1
            if leak:
                kept.append(torch.ones(leak, dtype=torch.uint8))
        found.append((resident_bytes() - before) / MEASURED)
    return found


if __name__ == "__main__":
    print(json.dumps(growth([int(text) for text in sys.argv[1:]])))
