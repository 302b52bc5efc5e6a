"""The recorder of a run: collects figures while it goes on, and sums them up."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.data.pose_check import CONTRADICTION
from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, depth_metrics, mean_depth_metrics
from e2e_slam_ros.evaluation.even_sample import EvenSample
from e2e_slam_ros.evaluation.run.excerpts import keyframe_sample, measured_points
from e2e_slam_ros.evaluation.run.map_fit import map_metrics
from e2e_slam_ros.evaluation.run.map_frame import map_frame, map_frame_ate, truth_of_map
from e2e_slam_ros.evaluation.run.measured_views import (
    MeasuredDepth,
    measured_depth,
    quality_of_map,
)
from e2e_slam_ros.evaluation.run.pose_residuals import PoseResiduals, PoseVerdict
from e2e_slam_ros.evaluation.run.sigma_ratio import sigma_ratio
from e2e_slam_ros.evaluation.run.summary import (
    KeyframeRecord,
    KeyframeSample,
    RefinementSummary,
    RunSummary,
    StageLatency,
    TrackedPoses,
)
from e2e_slam_ros.evaluation.run.tracking_history import TrackingHistory
from e2e_slam_ros.evaluation.run.truth import ObservedReader
from e2e_slam_ros.evaluation.trajectory.alignment import Similarity
from e2e_slam_ros.evaluation.trajectory.errors import trajectory_metrics
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.refine.counts import RefinementCounts
from e2e_slam_ros.slam.depth_sources import is_measured
from e2e_slam_ros.slam.observer import RunObserver
from e2e_slam_ros.slam.result import KeyframeResult, PoseFacts, Revision
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState

Metrics = TypeVar("Metrics")

_SAMPLES = 8
# Keyframes whose measured points are compared with the final map (at most twice as many).
_FIT_KEYFRAMES = 200
# Keyframes whose measured depth judges the final map from both sides.
_JUDGES = 60


class RunRecorder(RunObserver):
    """Collects the figures of a `RunSummary`. Thread-safe; keeps few pictures.

    Args:
        reader: the sequence that is played, the source of ground truth; None for live input.
        T_truth_map: (4, 4) from a loaded map to the recording's frame; None: not known.
        name: of live input, for the title.

    Attributes:
        observed: play it instead of ``reader``: it notes the truth of the frames; None without
            a reader.
        summary, cloud: figures and map, once the run is finished.

    >>> recorder = RunRecorder(None, Config())
    >>> recorder.on_frame(10**9, np.eye(4))
    >>> nothing = np.zeros((0, 3), np.float32)
    >>> cloud = SurfelCloud(nothing, nothing, nothing.astype(np.uint8), nothing[:, 0])
    >>> recorder.finish(cloud, dropped=0, problems={}, wall_s=1.0).frames
    1
    """

    def __init__(
        self,
        reader: FrameReader | None,
        config: Config,
        T_truth_map: npt.NDArray[np.float64] | None = None,
        name: str = "live",
    ) -> None:
        self._T_truth_map = T_truth_map
        self.observed = None if reader is None else ObservedReader(reader)
        self._name = name
        self._notes: list[str] = []
        self._states: list[tuple[int, TrackingState, int]] = []
        self._config = config
        self._lock = threading.Lock()
        self._stamps: list[int] = []
        self._poses: list[npt.NDArray[np.float64] | None] = []
        self._latency: dict[str, array[float]] = {}
        self._records: list[KeyframeRecord] = []
        self._samples: EvenSample[KeyframeSample] = EvenSample(_SAMPLES)
        self._measured: EvenSample[npt.NDArray[np.float32]] = EvenSample(_FIT_KEYFRAMES)
        self._judges: EvenSample[MeasuredDepth] = EvenSample(_JUDGES)
        self._refinement = RefinementCounts()
        self._residuals = PoseResiduals()
        self._revised = 0
        self._last: DepthEstimate | None = None
        self._poses_of_last: PoseFacts | None = None
        self._device: str | None = None
        self.summary: RunSummary | None = None
        self.cloud: SurfelCloud | None = None

    def note(self, sentence: str) -> None:
        """Add a sentence about the input to the summary."""
        with self._lock:
            self._notes.append(sentence)

    def on_image(self, frame: Frame, tracked: TrackedPose | None) -> None:
        """Note the state of the visual tracker after a frame."""
        if tracked is not None:
            with self._lock:
                self._states.append((frame.stamp_ns, tracked.state, tracked.inliers))

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Note a processed frame and its (4, 4) estimated pose; None when it got none."""
        pose = None if T_map_camera is None else np.array(T_map_camera, dtype=np.float64)
        with self._lock:
            self._stamps.append(stamp_ns)
            self._poses.append(pose)

    def on_latency(self, stage: str, ms: float) -> None:
        """Note the time of one pass through ``stage``, milliseconds."""
        with self._lock:
            self._latency.setdefault(stage, array("d")).append(ms)

    @torch.inference_mode()
    def on_keyframe(self, result: KeyframeResult) -> None:
        """Note a mapped keyframe: depth errors, map size, stage times, for some also pictures."""
        for stage, ms in result.latency_ms.items():
            self.on_latency(stage, ms)
        truth = self._true_depth(result.keyframe, result.estimate)
        record = self._record(result, truth)
        limits = self._config.depth
        measured = measured_points(result, truth, limits.min_m, limits.max_m)
        is_measured_depth = is_measured(result.estimate.source)
        with self._lock:
            self._residuals.add(result.keyframe, result.estimate, is_measured_depth)
            if result.outcome is not None:
                self._refinement.add(result.outcome)
            if measured is not None:
                self._measured.offer(measured)
            if truth is not None:
                self._judges.offer(measured_depth(result.keyframe, truth))
            wanted = self._samples.wants_next()
            if not wanted:
                self._samples.skip()
            self._records.append(record)
            self._last, self._poses_of_last = result.estimate, result.poses
            self._device = _device_words(result.keyframe.image.device)
        if result.revision is not None:
            self._on_revision(result.revision)
        if wanted:
            sample = keyframe_sample(result, record, truth)
            with self._lock:
                self._samples.offer(sample)

    def finish(
        self,
        cloud: SurfelCloud,
        dropped: int,
        problems: Mapping[str, int],
        wall_s: float,
        map_hash: str | None = None,
        landmarks: npt.NDArray[np.float64] | None = None,
    ) -> RunSummary:
        """Return the figures of the run, and keep them.

        Args:
            dropped: number of keyframes left unmapped.
            map_hash: content hash of the map, if known.
            landmarks: (L, 3) of the visual tracker in the map, metres; None without it.
        """
        with self._lock:
            stamps, poses = list(self._stamps), list(self._poses)
            records, samples = tuple(self._records), tuple(self._samples.chosen())
            measured, judges = self._measured.items(), self._judges.items()
            latency = {stage: StageLatency.of(times) for stage, times in self._latency.items()}
            last, device = self._last, self._device
            poses_of_last = self._poses_of_last
            residuals = self._residuals.verdict()
            refinement = RefinementSummary.of(self._refinement, self._revised)
            tracking = TrackingHistory.of(self._states, landmarks)
        trajectory = self._trajectory(stamps, poses)
        given = self._T_truth_map is not None
        report = None if self.observed is None else self.observed.report
        notes = [*self._notes, *([] if report is None else report.notes)]
        self.cloud = cloud
        self.summary = RunSummary(
            sequence=self._name if self.observed is None else self.observed.name,
            frames=len(stamps),
            keyframes=len(records),
            dropped=dropped,
            surfels=records[-1].surfels if records else len(cloud.positions),
            device=device or self._config.runtime.device,
            wall_s=wall_s,
            depth=mean_depth_metrics(record.depth for record in records),
            depth_unrefined=mean_depth_metrics(record.unrefined for record in records),
            depth_source=None if last is None else last.source,
            scale_source=None if last is None else last.scale_source,
            pose_source=self._pose_source(),
            poses=poses_of_last,
            trajectory=trajectory,
            trajectory_metrics=_computed(
                lambda: trajectory_metrics(trajectory.estimated, trajectory.truth),
                "trajectory error",
                notes,
            ),
            map_fit=_computed(lambda: map_metrics(measured, cloud.positions), "map error", notes),
            map_quality=_computed(
                lambda: quality_of_map(
                    cloud, judges, self._true_pose, self._truth_of_map(trajectory)
                ),
                "map quality",
                notes,
            ),
            map_hash=map_hash,
            latency_ms=latency,
            problems=dict(problems),
            records=records,
            samples=samples,
            skipped={} if report is None else dict(report.skipped),
            refinement=refinement,
            T_truth_map=self._T_truth_map if given else map_frame(trajectory),
            map_frame_ate_m=map_frame_ate(trajectory, self._T_truth_map) if given else None,
            localizes_only=self._config.tracking.localize_only,
            notes=tuple(n for n in notes if not n.startswith(CONTRADICTION)),
            warnings=_warnings(residuals, notes),
            tracking=tracking,
        )
        return self.summary

    def _on_revision(self, revision: Revision) -> None:
        """Replace the figures of an earlier keyframe by those of its new depth."""
        truth = self._true_depth(revision.keyframe, revision.estimate)
        depth = self._metrics(revision.estimate, truth)
        ratio = self._sigma_ratio(revision.estimate, truth)
        with self._lock:
            self._revised += 1
            for place in range(len(self._records) - 1, -1, -1):
                if self._records[place].index == revision.keyframe.index:
                    self._records[place] = replace(
                        self._records[place], depth=depth, sigma_ratio=ratio
                    )
                    return

    def _pose_source(self) -> str:
        source = self._config.pose.source
        recorded = self.observed is not None and source in ("topic", "odometry", "tf")
        return "recording" if recorded else source

    def _truth_of_map(self, trajectory: TrackedPoses) -> Similarity | None:
        """Return the motion from the map to the recording's frame; None where they are one."""
        if self._T_truth_map is not None:
            return Similarity(1.0, self._T_truth_map[:3, :3], self._T_truth_map[:3, 3])
        tracked = self._config.pose.is_tracked
        return truth_of_map(trajectory, with_scale=True) if tracked else None

    def _true_pose(self, stamp_ns: int) -> npt.NDArray[np.float64] | None:
        return None if self.observed is None else self.observed.true_pose(stamp_ns)

    def _true_depth(self, keyframe: Keyframe, answer: DepthEstimate) -> torch.Tensor | None:
        """Return (H, W) metres on the estimate's device, or None."""
        estimate = answer.depth
        if keyframe.sensor_depth is not None:
            return keyframe.sensor_depth[0, 0].to(estimate.device)
        if self.observed is None:
            return None
        height, width = estimate.shape[-2:]
        undistort = self._config.camera.undistort
        truth = self.observed.true_depth(keyframe.stamp_ns, height, width, undistort)
        return None if truth is None else truth.to(estimate.device)

    def _record(self, result: KeyframeResult, truth: torch.Tensor | None) -> KeyframeRecord:
        keyframe, fusion = result.keyframe, result.fusion
        fused = self._metrics(result.estimate, truth)
        same = result.unrefined is result.estimate
        return KeyframeRecord(
            index=keyframe.index,
            frame_index=keyframe.frame_index,
            stamp_ns=keyframe.stamp_ns,
            reason=keyframe.decision.reason,
            T_map_camera=keyframe.T_map_camera.detach().cpu().numpy().astype(np.float64),
            depth=fused,
            unrefined=fused if same else self._metrics(result.unrefined, truth),
            added=fusion.added,
            merged=fusion.merged,
            removed=fusion.removed,
            surfels=fusion.total,
            scale=None if result.scale is None else result.scale.factor,
            loss_first=None if result.outcome is None else result.outcome.first_total,
            loss_last=None if result.outcome is None else result.outcome.best_total,
            sigma_ratio=self._sigma_ratio(result.estimate, truth),
        )

    def _metrics(self, estimate: DepthEstimate, truth: torch.Tensor | None) -> DepthMetrics | None:
        if truth is None:
            return None
        limits = self._config.depth
        return depth_metrics(estimate.depth[0, 0], truth, limits.min_m, limits.max_m)

    def _sigma_ratio(self, estimate: DepthEstimate, truth: torch.Tensor | None) -> float | None:
        """Return how much larger errors are than stated; None for depth that is the truth."""
        if truth is None or is_measured(estimate.source):
            return None
        limits = self._config.depth
        return sigma_ratio(estimate, truth, limits.min_m, limits.max_m)

    def _trajectory(
        self, stamps: list[int], poses: list[npt.NDArray[np.float64] | None]
    ) -> TrackedPoses:
        tracked = [(s, p) for s, p in zip(stamps, poses, strict=True) if p is not None]
        tracked.sort(key=lambda pair: pair[0])
        observed, missing = self.observed, np.full((4, 4), np.nan)
        true = [None if observed is None else observed.true_pose(s) for s, _ in tracked]
        return TrackedPoses(
            stamps_ns=np.array([stamp for stamp, _ in tracked], dtype=np.int64),
            estimated=np.array([pose for _, pose in tracked]).reshape(-1, 4, 4),
            truth=np.array([missing if t is None else t for t in true]).reshape(-1, 4, 4),
        )


def _warnings(residuals: PoseVerdict | None, notes: list[str]) -> tuple[str, ...]:
    """Return the sentences that make the whole map doubtful."""
    found = [residuals.sentence] if residuals is not None and residuals.contradicts else []
    return (*found, *(note for note in notes if note.startswith(CONTRADICTION)))


def _computed(
    compute: Callable[[], Metrics | None], what: str, notes: list[str]
) -> Metrics | None:
    """Return the figure, or note why there is none: it must not cost the others."""
    try:
        return compute()
    except Exception as error:  # noqa: BLE001 - one figure must not cost the map
        notes.append(f"The {what} could not be computed: {error}")
        return None


def _device_words(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)
