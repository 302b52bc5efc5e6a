"""DRO's depth after 0, 4, 8 and 12 updates with one and with four neighbours.

    python bench/dro_updates.py
    python bench/dro_updates.py --weights out/dro/weights.safetensors --cache DIR

Rendered rooms that were not trained on, exact poses, from the single image's depth in its own
metres, no motion stereo. abs_rel over all pixels, nothing is scaled.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from e2e_slam_ros.multiview.dro.guide import depth_guide
from e2e_slam_ros.multiview.dro.source import SHIPPED
from e2e_slam_ros.multiview.dro.weights_file import load_dro
from e2e_slam_ros.training.dro.groups import group
from e2e_slam_ros.training.dro.validation import stage_errors
from e2e_slam_ros.training.dro.walk_config import WalkConfig
from e2e_slam_ros.training.dro.walks import Walks

ITERATIONS = 12
# Frames of each walk that are measured.
FRAMES = (6, 10)


@torch.inference_mode()
def main() -> None:
    """Print a row for each number of neighbours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default=str(SHIPPED))
    parser.add_argument("--rooms", type=int, default=16)
    parser.add_argument("--first-seed", type=int, default=90000)
    parser.add_argument("--cache", default="", help="folder of rendered walks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = load_dro(options.weights)
    walks = Walks(
        WalkConfig(rooms=options.rooms, first_seed=options.first_seed, cache=options.cache)
    )
    walks.render_missing(progress=True)
    for neighbours in (1, 4):
        rows = []
        for walk in (walks.walk(number) for number in range(len(walks))):
            for frame in FRAMES:
                batch = group(walk, frame, neighbours, None)
                guide, _ = depth_guide(batch.single, batch.stereo, torch.zeros_like(batch.weight))
                stages = network(batch.views, ITERATIONS, batch.T_i_0, guide)
                errors = [stage_errors(stage, batch) for stage in stages]
                rows.append([np.nan if error is None else error.abs_rel for error in errors])
        means = np.nanmean(rows, axis=0)
        print(
            f"neighbours: {neighbours}, {len(rows)} keyframes, 0, 4, 8, 12 updates:",
            ", ".join(f"{mean:.3f}" for mean in means),
        )


if __name__ == "__main__":
    main()
