"""The figures of one run: the content of metrics.json, of the table and of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.pose import TRACKED_SOURCES
from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics
from e2e_slam_ros.evaluation.run.map_fit import MapMetrics
from e2e_slam_ros.evaluation.run.map_quality import MapQuality
from e2e_slam_ros.evaluation.run.sigma_ratio import mean_ratio
from e2e_slam_ros.evaluation.run.tracking_history import TrackingHistory
from e2e_slam_ros.evaluation.trajectory.errors import TrajectoryMetrics
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.refine.counts import RefinementCounts
from e2e_slam_ros.slam.depth_sources import is_measured
from e2e_slam_ros.slam.result import PoseFacts


@dataclass(frozen=True)
class StageLatency:
    """Time spent in one stage, milliseconds.

    >>> StageLatency.of([1.0, 2.0, 3.0]).p50
    2.0
    """

    p50: float
    p95: float
    mean: float
    count: int

    @classmethod
    def of(cls, times_ms: Sequence[float]) -> StageLatency:
        """Return the figures of at least one time."""
        p50, p95 = np.percentile(times_ms, (50, 95))
        return cls(float(p50), float(p95), float(np.mean(times_ms)), len(times_ms))


@dataclass(frozen=True, eq=False)
class KeyframeRecord:
    """The figures of one keyframe.

    Attributes:
        index, frame_index, stamp_ns: its number, and number and time of its camera frame.
        reason: the rule that made it a keyframe.
        T_map_camera: (4, 4) float64.
        depth, unrefined: metrics of the fused depth and of the source's; None without truth.
        added, merged, removed: surfels of the map that its fusion changed.
        surfels: size of the map after it.
        scale: factor from the depth source's unit to metres; None where none was found.
        loss_first, loss_last: total loss before and after its refinement; None where there was
            none.
        sigma_ratio: errors of the fused depth over its stated standard deviation, at the quantile
            that is 1 for right ones; None without truth or stated deviations.

    >>> record = KeyframeRecord(0, 4, 10**9, "first", np.eye(4), None, None, 90, 0, 0, 90)
    >>> record.loss_first is None
    True
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
    scale: float | None = None
    loss_first: float | None = None
    loss_last: float | None = None
    sigma_ratio: float | None = None


@dataclass(frozen=True)
class RefinementSummary:
    """Numbers of keyframes by the end of their refinement.

    Attributes:
        refined: keyframes whose depth was changed.
        refused: reason -> keyframes whose refinement did not begin.
        rolled_back: keyframes whose refinement was undone.
        mean_steps: mean number of updates where the refinement began.
        revised: keyframes refined again when later keyframes were there.

    >>> RefinementSummary.of(RefinementCounts(), revised=0) is None
    True
    """

    refined: int
    refused: Mapping[str, int]
    rolled_back: int
    mean_steps: float
    revised: int = 0

    @classmethod
    def of(cls, counts: RefinementCounts, revised: int) -> RefinementSummary | None:
        """Return the numbers of the counts; None where no refinement was tried."""
        if counts.attempts == 0:
            return None
        refused = dict(counts.refused)
        return cls(counts.refined, refused, counts.rolled_back, counts.mean_steps, revised)


@dataclass(frozen=True, eq=False)
class KeyframeSample:
    """Small pictures of one keyframe.

    Attributes:
        record: its figures.
        camera: intrinsics of the pictures.
        image: (h, w, 3) uint8 RGB.
        depth: (h, w) float32, metres, 0 = invalid.
        truth: (h, w) float32, metres, 0 = invalid; None when there is none.

    >>> record = KeyframeRecord(0, 4, 10**9, "first", np.eye(4), None, None, 90, 0, 0, 90)
    >>> camera, depth = PinholeCamera(8, 6, 8.0, 8.0, 3.5, 2.5), np.ones((6, 8), np.float32)
    >>> KeyframeSample(record, camera, np.zeros((6, 8, 3), np.uint8), depth, None).truth is None
    True
    """

    record: KeyframeRecord
    camera: PinholeCamera
    image: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]
    truth: npt.NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class TrackedPoses:
    """Camera poses of the frames that have one.

    Attributes:
        stamps_ns: (N,) int64.
        estimated: (N, 4, 4) float64 camera-to-map.
        truth: (N, 4, 4) float64, NaN where there is none.

    >>> poses = np.tile(np.eye(4), (2, 1, 1))
    >>> TrackedPoses(np.array([0, 1]), poses, poses * np.nan).has_truth
    False
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
    """All figures of a run.

    Attributes:
        sequence: name of the input.
        frames, keyframes, dropped, surfels: counts; dropped keyframes were left unmapped.
        device: name of the device that mapped.
        wall_s: duration of the run, seconds.
        depth, depth_unrefined: means over the keyframes that have truth.
        depth_source, scale_source: names of the sources of depth and of its scale.
        pose_source: name of the source of poses; "recording" are the poses of the sequence.
        trajectory, trajectory_metrics: poses and their error.
        map_fit: distance from measured points to the map.
        map_quality: accuracy and completeness of the map, both against measured depth.
        refinement: numbers of refinements; None where none was configured.
        map_hash: content hash of the saved map.
        latency_ms: stage name -> times.
        problems: kind -> number.
        notes: sentences about the input.
        poses: how they came about, as of the last keyframe; None: they were given and kept.
        warnings: sentences that make the whole map doubtful; they stand first.
        records: every keyframe.
        samples: a few keyframes with pictures.
        skipped: reason -> frames of the input that were left out.
        T_truth_map: (4, 4) from the map to the recording's own frame, by all its poses; None with
            fewer than three.
        map_frame_ate_m: RMSE of positions in the frame of a loaded map, without any alignment of
            this run; None where the map or its relation to the recording is not known.
        localizes_only: the camera was found in a loaded map; nothing was mapped.
        tracking: states and landmarks of the visual tracker; None where poses were given.

    >>> poses = TrackedPoses(np.zeros(0, np.int64), np.zeros((0, 4, 4)), np.zeros((0, 4, 4)))
    >>> counts, sources = ("desk", 9, 0, 0, 0, "cpu", 1.5), (None, None, None, None, "recording")
    >>> summary = RunSummary(*counts, *sources, poses, None, None, None, {}, {})
    >>> summary.is_empty, summary.to_metrics()["wall_s"]
    (True, 1.5)
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
    trajectory: TrackedPoses
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
    T_truth_map: npt.NDArray[np.float64] | None = None
    map_frame_ate_m: float | None = None
    localizes_only: bool = False
    warnings: tuple[str, ...] = ()
    tracking: TrackingHistory | None = None
    poses: PoseFacts | None = None
    map_quality: MapQuality | None = None

    @property
    def is_empty(self) -> bool:
        """True when nothing was mapped; while localising only, when no pose was found."""
        if self.localizes_only:
            return len(self.trajectory.stamps_ns) == 0
        return self.keyframes == 0 or self.surfels == 0

    @property
    def poses_are_given(self) -> bool:
        """True when the poses are the true ones of the recording: their error is zero."""
        refined = self.poses is not None and self.poses.poses == "refined"
        return self.pose_source == "recording" and not refined

    @property
    def has_own_map_frame(self) -> bool:
        """True when the map begins at the first camera instead of the recording's origin."""
        return self.pose_source in TRACKED_SOURCES

    @property
    def truth_is_input(self) -> bool:
        """True when the fused depth is the measurement that it is compared with."""
        return is_measured(self.depth_source)

    def _map_quality(self) -> dict[str, Any]:
        quality = self.map_quality
        return {
            **_fields(quality, MapQuality, but="surfels"),
            "f_score_5": None if quality is None else quality.f_score_5,
            "f_score_10": None if quality is None else quality.f_score_10,
        }

    def _pose_scale(self) -> dict[str, Any] | None:
        if self.poses is None:
            return None
        sigma = self.poses.scale_sigma
        return {
            "source": self.poses.scale_source,
            "sigma": sigma if math.isfinite(sigma) else None,
        }

    def to_metrics(self) -> dict[str, Any]:
        """Return the content of metrics.json; unknown figures are None."""
        return _rounded(
            {
                "sequence": self.sequence,
                "frames": self.frames,
                "keyframes": self.keyframes,
                "dropped": self.dropped,
                "surfels": self.surfels,
                "device": self.device,
                "wall_s": self.wall_s,
                "depth_source": self.depth_source,
                "scale_source": self.scale_source,
                "pose_source": self.pose_source,
                "pose_scale": self._pose_scale(),
                "depth": _fields(self.depth, DepthMetrics),
                "depth_unrefined": _fields(self.depth_unrefined, DepthMetrics),
                "depth_sigma_ratio": mean_ratio(r.sigma_ratio for r in self.records),
                "trajectory": {
                    **_fields(self.trajectory_metrics, TrajectoryMetrics, but="pairs"),
                    "alignment": "se3",
                    "frames_tracked": len(self.trajectory.stamps_ns),
                    "map_frame_ate_m": self.map_frame_ate_m,
                    "T_truth_map": None if self.T_truth_map is None else self.T_truth_map.tolist(),
                },
                "tracking": None if self.tracking is None else self.tracking.to_metrics(),
                "map_fit": _fields(self.map_fit, MapMetrics, but="points"),
                "map_quality": self._map_quality(),
                "refinement": None if self.refinement is None else asdict(self.refinement),
                "map_hash": self.map_hash,
                "latency_ms": {stage: asdict(times) for stage, times in self.latency_ms.items()},
                "problems": dict(self.problems),
                "skipped": dict(self.skipped),
                "warnings": list(self.warnings),
            }
        )


def _fields(figures: object, kind: Any, but: str = "") -> dict[str, Any]:
    """Return every field of ``kind`` except one; None for each where there are no figures."""
    names = [item.name for item in fields(kind) if item.name != but]
    return {name: None if figures is None else getattr(figures, name) for name in names}


def _rounded(value: Any) -> Any:
    """Round to six significant digits; NaN and infinity are unknown, and JSON has neither."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if np.isfinite(value) else None
