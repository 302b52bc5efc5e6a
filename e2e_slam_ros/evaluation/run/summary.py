"""What one run was and achieved: the data behind metrics.json, the table and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics
from e2e_slam_ros.evaluation.run.map_fit import MapMetrics
from e2e_slam_ros.evaluation.trajectory.errors import TrajectoryMetrics
from e2e_slam_ros.geometry.camera import PinholeCamera


@dataclass(frozen=True)
class StageLatency:
    """Time spent in one stage, milliseconds."""

    p50: float
    p95: float
    mean: float
    count: int


@dataclass(frozen=True, eq=False)
class KeyframeRecord:
    """What is remembered of every keyframe.

    Attributes:
        index, frame_index, stamp_ns: which keyframe, of which camera frame.
        reason: why it became one.
        T_map_camera: (4, 4) float64.
        depth, unrefined: metrics as fused and as the source gave it; None without truth.
        added, merged, removed, surfels: what fusing it did to the map; surfels is the total.
        loss_first, loss_last: total loss before and after its refinement; None where there was
            none.
    """

    index: int
    frame_index: int
    stamp_ns: int
    reason: str
    T_map_camera: npt.NDArray[np.float64]
    depth: DepthMetrics | None
    unrefined: DepthMetrics | None
    added: int
    merged: int
    removed: int
    surfels: int
    loss_first: float | None = None
    loss_last: float | None = None


@dataclass(frozen=True)
class RefinementSummary:
    """How the refinements of a run ended, in keyframes.

    Attributes:
        refined: their depth was changed.
        refused: reason -> how many were not begun.
        rolled_back: begun and undone.
        mean_steps: updates for each that was begun.
        revised: improved once more when later keyframes were there.
    """

    refined: int
    refused: Mapping[str, int]
    rolled_back: int
    mean_steps: float
    revised: int = 0


@dataclass(frozen=True, eq=False)
class KeyframeSample:
    """Small pictures of one keyframe.

    Attributes:
        record: its numbers.
        camera: intrinsics of the pictures.
        image: (h, w, 3) uint8 RGB.
        depth: (h, w) float32, metres, 0 = invalid.
        truth: (h, w) float32, metres, 0 = invalid; None when there is none.
    """

    record: KeyframeRecord
    camera: PinholeCamera
    image: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]
    truth: npt.NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Camera poses of the frames that have one.

    Attributes:
        stamps_ns: (N,) int64.
        estimated: (N, 4, 4) float64 camera-to-map.
        truth: (N, 4, 4) float64, NaN where there is none.
    """

    stamps_ns: npt.NDArray[np.int64]
    estimated: npt.NDArray[np.float64]
    truth: npt.NDArray[np.float64]

    @property
    def has_truth(self) -> bool:
        """True when at least one true pose is known."""
        return bool(np.isfinite(self.truth).any())


@dataclass(frozen=True, eq=False)
class RunSummary:
    """Everything the outputs of a run are made from.

    Attributes:
        sequence: name of the input.
        frames, keyframes, dropped, surfels: counts; dropped are keyframes left unmapped.
        device: where the mapping ran, in words.
        wall_s: duration of the run, seconds.
        depth, depth_unrefined: means over the keyframes that have truth.
        depth_source, scale_source: where depth and its metres come from.
        pose_source: where poses come from ("recording": what the sequence brought along).
        trajectory, trajectory_metrics: poses and their error.
        map_fit: distance from measured points to the map.
        refinement: how the refinements ended; None where none was configured.
        map_hash: content hash of the saved map.
        latency_ms: stage name -> times.
        problems: kind -> how often.
        notes: sentences about the input.
        records: every keyframe; ``samples``: a few, with pictures.
    """

    sequence: str
    frames: int
    keyframes: int
    dropped: int
    surfels: int
    device: str
    wall_s: float
    depth: DepthMetrics | None
    depth_unrefined: DepthMetrics | None
    depth_source: str | None
    scale_source: str | None
    pose_source: str
    trajectory: Trajectory
    trajectory_metrics: TrajectoryMetrics | None
    map_fit: MapMetrics | None
    map_hash: str | None
    latency_ms: Mapping[str, StageLatency]
    problems: Mapping[str, int]
    notes: tuple[str, ...] = ()
    records: tuple[KeyframeRecord, ...] = ()
    samples: tuple[KeyframeSample, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    refinement: RefinementSummary | None = None

    @property
    def is_empty(self) -> bool:
        """True when nothing was mapped."""
        return self.keyframes == 0 or self.surfels == 0

    @property
    def poses_are_given(self) -> bool:
        """True when the poses are the recording's own, so that their error says nothing."""
        return self.pose_source == "recording"

    @property
    def truth_is_input(self) -> bool:
        """True when the fused depth is the very measurement it is compared with."""
        return self.depth_source == "sensor"

    def to_metrics(self) -> dict[str, Any]:
        """Return the content of metrics.json; what could not be computed is None."""
        ate = self.trajectory_metrics
        return {
            "sequence": self.sequence,
            "frames": self.frames,
            "keyframes": self.keyframes,
            "dropped": self.dropped,
            "surfels": self.surfels,
            "device": self.device,
            "wall_s": _rounded(self.wall_s),
            "depth_source": self.depth_source,
            "scale_source": self.scale_source,
            "pose_source": self.pose_source,
            "depth": _depth(self.depth),
            "depth_unrefined": _depth(self.depth_unrefined),
            "trajectory": {
                "ate_rmse_m": _rounded(None if ate is None else ate.ate_rmse_m),
                "ate_unaligned_rmse_m": _rounded(
                    None if ate is None else ate.ate_unaligned_rmse_m
                ),
                "alignment": "se3",
                "frames_tracked": len(self.trajectory.stamps_ns),
            },
            "map_fit": {
                "median_m": _rounded(None if self.map_fit is None else self.map_fit.median_m),
                "p95_m": _rounded(None if self.map_fit is None else self.map_fit.p95_m),
                "worst_keyframe_m": _rounded(
                    None if self.map_fit is None else self.map_fit.worst_keyframe_m
                ),
            },
            "refinement": None if self.refinement is None else _refinement(self.refinement),
            "map_hash": self.map_hash,
            "latency_ms": {
                stage: {key: _rounded(value) for key, value in asdict(times).items()}
                for stage, times in self.latency_ms.items()
            },
            "problems": dict(self.problems),
            "skipped": dict(self.skipped),
        }


def _depth(metrics: DepthMetrics | None) -> dict[str, float | None]:
    names = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3", "pixels")
    return {name: _rounded(None if metrics is None else getattr(metrics, name)) for name in names}


def _refinement(summary: RefinementSummary) -> dict[str, Any]:
    values = asdict(summary)
    return {**values, "mean_steps": _rounded(summary.mean_steps)}


def _rounded(value: float | None) -> float | None:
    """Round to six significant digits; NaN and infinity are unknown, and JSON has neither."""
    if value is None or not np.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.6g}")
