"""Parameters of what is published and of how the stages run."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class PublishConfig:
    """What is published, and how much of it.

    Example:
        >>> PublishConfig().max_points
        500000
    """

    tf: bool = leaf(True, "publish the camera pose (or map -> odom) on TF", live=True)
    transform_tolerance_s: float = leaf(
        0.1, "how long TF look-ups wait for a transform, seconds", low=0.0, high=10.0, live=True
    )
    max_points: int = leaf(500_000, "most points in a published map", low=1, live=True)
    period_s: float = leaf(
        1.0, "shortest time between two published maps, seconds", low=0.0, live=True
    )
    min_confidence: float = leaf(
        0.0, "surfels below this confidence are not published", low=0.0, live=True
    )
    path_length: int = leaf(2000, "most poses kept in the published path", low=1)


@dataclass(frozen=True)
class RuntimeConfig:
    """How the stages are run.

    Example:
        >>> RuntimeConfig().device
        'auto'
    """

    device: str = leaf("auto", "auto, cpu, cuda or cuda:N")
    threads: int = leaf(
        1, "CPU threads of the mapping worker; 0 leaves the choice to torch", low=0
    )
    offline: bool = leaf(
        False, "true: map every keyframe, in order; false: newest keyframe wins, drops counted"
    )
    reliability: str = leaf(
        "auto",
        "QoS of the image topics; auto: best effort live, reliable offline",
        choices=("auto", "best_effort", "reliable"),
    )
    silence_s: float = leaf(
        5.0,
        "seconds without images after which the likely reason is logged; 0 never",
        low=0.0,
        live=True,
    )
    output: str = leaf(
        "", "folder for saved maps; empty: the folder the node was started in", live=True
    )
    map_file: str = leaf(
        "map.ply",
        "what ~/save_map writes there: .ply, .pcd or .png, and beside it the .safetensors that "
        "~/load_map reads",
        live=True,
    )
    viewer: str = leaf(
        "none",
        "rerun: a live view where there is a display, else a recording in runtime.output",
        choices=("none", "rerun"),
    )
