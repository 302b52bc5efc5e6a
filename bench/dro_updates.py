"""DRO's depth after 0, 4, 8 and 12 updates with one and with four neighbours.

    python bench/dro_updates.py
    python bench/dro_updates.py --weights out/dro/weights.safetensors --cache DIR
    python bench/dro_updates.py --two-view

Rendered rooms that were not trained on, exact poses, from the single image's depth in its own
metres, no motion stereo. abs_rel over all pixels, nothing is scaled.

With ``--two-view``: one neighbour, the weights for unknown poses, abs_rel after the median was
scaled. A row for exact and one for unknown poses, from the single image's depth, and from that
depth changed by random smooth fields as in the training.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from e2e_slam_ros.multiview.dro.guide import depth_guide
from e2e_slam_ros.multiview.dro.network import DroNetwork
from e2e_slam_ros.multiview.dro.source import SHIPPED, SHIPPED_POSES
from e2e_slam_ros.multiview.dro.weights_file import load_dro
from e2e_slam_ros.training.dro.batch import DroBatch
from e2e_slam_ros.training.dro.groups import GroupConfig, changed, group
from e2e_slam_ros.training.dro.validation import StageErrors, stage_errors
from e2e_slam_ros.training.dro.walk_config import WalkConfig
from e2e_slam_ros.training.dro.walks import Walks

ITERATIONS = 12
# Frames of each walk that are measured.
FRAMES = (6, 10)


@torch.inference_mode()
def given_poses(network: DroNetwork, walks: Walks) -> None:
    """Print a row for each number of neighbours."""
    for neighbours in (1, 4):
        rows = []
        for walk in (walks.walk(number) for number in range(len(walks))):
            for frame in FRAMES:
                batch = group(walk, frame, neighbours, None)
                errors = updates(network, batch, batch.T_i_0)
                rows.append([np.nan if error is None else error.abs_rel for error in errors])
        means = np.nanmean(rows, axis=0)
        print(
            f"neighbours: {neighbours}, {len(rows)} keyframes, 0, 4, 8, 12 updates:",
            ", ".join(f"{mean:.3f}" for mean in means),
        )


@torch.inference_mode()
def two_view(network: DroNetwork, walks: Walks) -> None:
    """Print depth and rotation by the number of updates, with exact and with unknown poses."""
    changes = GroupConfig(mirror=0.0, single_scale=0.0)
    for start in ("the single image", "the single image, changed"):
        generator = torch.Generator().manual_seed(0)
        batches = []
        for walk in (walks.walk(number) for number in range(len(walks))):
            for frame in FRAMES:
                batch = group(walk, frame, 1, None)
                if start != "the single image":
                    batch = changed(batch, changes, generator)
                batches.append(batch)
        for poses in ("exact", "unknown"):
            rows = []
            for batch in batches:
                errors = updates(network, batch, batch.T_i_0 if poses == "exact" else None)
                rows.append([(e.scaled, e.rotation_deg) for e in errors if e is not None])
            depth, turn = np.mean([row for row in rows if len(row) == len(errors)], axis=0).T
            print(
                f"from {start}, poses {poses}, {len(rows)} pairs, 0, 4, 8, 12 updates:",
                ", ".join(f"{value:.3f}" for value in depth),
                f"({depth[-1] / depth[0] - 1:+.0%}), rotation",
                ", ".join(f"{value:.2f}" for value in turn),
                flush=True,
            )


def updates(
    network: DroNetwork, batch: DroBatch, T_i_0: torch.Tensor | None
) -> list[StageErrors | None]:
    """Return the errors at the start and after every stage, without motion stereo."""
    guide, _ = depth_guide(batch.single, batch.stereo, torch.zeros_like(batch.weight))
    return [stage_errors(s, batch) for s in network(batch.views, ITERATIONS, T_i_0, guide)]


def main() -> None:
    """Render what is missing and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="", help="default: those of the package")
    parser.add_argument("--rooms", type=int, default=16)
    parser.add_argument("--first-seed", type=int, default=90000)
    parser.add_argument("--cache", default="", help="folder of rendered walks")
    parser.add_argument("--two-view", action="store_true", help="exact and unknown poses")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shipped = SHIPPED_POSES if options.two_view else SHIPPED
    network = load_dro(options.weights or shipped)
    walks = Walks(
        WalkConfig(rooms=options.rooms, first_seed=options.first_seed, cache=options.cache)
    )
    walks.render_missing(progress=True)
    (two_view if options.two_view else given_poses)(network, walks)


if __name__ == "__main__":
    main()
