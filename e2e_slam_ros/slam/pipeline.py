"""The system without ROS: one object, and one method that maps a keyframe."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.between_frames import BetweenFrames
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.depth.source import DepthSource, DepthUnit
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.slam.angular_velocity import AngularVelocity
from e2e_slam_ros.slam.build_map import kept_keyframes, map_config
from e2e_slam_ros.slam.build_tracking import build_refinement, build_tracking
from e2e_slam_ros.slam.camera_tracking import CameraTracking
from e2e_slam_ros.slam.depth_sources import build_depth_source
from e2e_slam_ros.slam.keyframe_selector import KeyframeSelector
from e2e_slam_ros.slam.learning import Learning
from e2e_slam_ros.slam.lens_correction import build_lens_corrector
from e2e_slam_ros.slam.look_back import LookBack, map_points
from e2e_slam_ros.slam.map_follower import MapFollower
from e2e_slam_ros.slam.mapped_view import MappedView
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.slam.result import KeyframeResult, Revision
from e2e_slam_ros.slam.stage_timer import StageTimer

_BETWEEN = KeyframeDecision(False, "between keyframes")


class SlamPipeline:
    """Frames in, a map out.

    `choose_keyframe` is cheap and runs at camera rate; `map_keyframe` maps one keyframe and may
    run in another thread. Both raise `E2ESlamError` for input they refuse. A refused keyframe
    leaves no trace in memory, map, rule and learned state.

    Args:
        config: of all stages.
        device: where keyframes and map live.
        source: the depth source; None: the configured one.
        prepared: changes each keyframe before it is mapped; evaluations hide true depth with it.

    Attributes:
        keyframes: the memory of keyframes; written here alone.
        source: the depth source.
        depth_stage: from raw depth to the depth that is fused.
        surfels: the map.
        tracking: finds the poses of frames if ``pose.is_tracked``; else None.
        refinement: refines given poses (``pose.refine``); else None. `reset` leaves both alone:
            they run at camera rate, and are reset there.
        learning: of the scale, of weights by refinement, and of the room in the background.
        is_pressed: returns whether a newer keyframe waits; `map_keyframe` does not look back then.

    Raises:
        E2ESlamError: a configuration that makes no sense, or a source that cannot be built.

    Example:
        >>> import numpy as np
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
        >>> image, wall = np.zeros((48, 64, 3), np.uint8), np.full((48, 64), 2.0, np.float32)
        >>> frame = Frame(0, 0, image, camera, wall, T_map_camera=np.eye(4))
        >>> pipeline = SlamPipeline(Config(), torch.device("cpu"))
        >>> decision = pipeline.choose_keyframe(frame)
        >>> decision.reason
        'first'
        >>> result = pipeline.map_keyframe(frame, decision)
        >>> result.fusion.added == len(pipeline.surfels) > 2800
        True
        >>> float(pipeline.surfels.snapshot().positions[:, 2].max())
        2.0
    """

    def __init__(
        self,
        config: Config,
        device: torch.device,
        source: DepthSource | None = None,
        prepared: Callable[[Keyframe], Keyframe] | None = None,
    ) -> None:
        self.device = device
        self.tracking = build_tracking(config, device)
        self.refinement = build_refinement(config, device)
        self._poses: CameraTracking | None = self.tracking or self.refinement
        self.source = source or build_depth_source(config, device)
        self.depth_stage = DepthStage(config, self.source, device)
        self.surfels = SurfelMap(map_config(config, self.source.traits), device)
        self.selector = KeyframeSelector(config.keyframe, self.source.traits)
        self.is_pressed: Callable[[], bool] = lambda: False
        self._preprocess = Preprocessor(config.camera, device)
        self._prepared = prepared
        self._lens = build_lens_corrector(config, self.source.traits)
        self._turning = AngularVelocity()
        self._config = config
        between = None
        if self.source.traits.unit is not DepthUnit.METRES:
            between = BetweenFrames(config.refine.motion.min_baseline_m, self._as_view)
        self.keyframes = Keyframes(kept_keyframes(config), between)
        self._view = view = MappedView.of(config.map, self.source.traits)
        self._look_back = LookBack(self.depth_stage, self.keyframes, self.surfels, view)
        self.learning = Learning(
            config, self.source, self.depth_stage, device, lambda: self.is_pressed()
        )
        self._follower = MapFollower(
            self._poses, self.keyframes, self.surfels, self.selector, self.depth_stage, view
        )

    @property
    def config(self) -> Config:
        """The parameters as they are now."""
        return self._config

    def configure(self, config: Config) -> None:
        """Use changed live parameters from the next keyframe on; any thread.

        Raises:
            ConfigError: the depth source cannot follow them. Nothing is changed then.
        """
        self.depth_stage.check(config.refine)
        self._config = config
        self.learning.configure(config)
        if self.refinement is not None:
            self.refinement.configure(config)

    def choose_keyframe(self, frame: Frame, wanted: bool = False) -> KeyframeDecision:
        """Return whether the frame becomes a keyframe; its depth may still be missing.

        Args:
            frame: with its pose.
            wanted: it becomes a keyframe whatever the rule says, if its picture shows anything.

        Raises:
            PoseError: there is no pose, or it is not finite or not rigid.
        """
        if self._poses is not None:
            self._poses.finish()
        if self.tracking is not None and self.tracking.localizes_only:
            return KeyframeDecision(wanted, "depth for the tracker")
        decision = self.selector.choose_keyframe(frame, wanted)
        self._turning.observe(frame)
        if not decision.is_keyframe:
            # Nothing may learn from a picture that shows nothing.
            if decision.problem is None:
                self.keyframes.offer(frame)
        elif self._poses is not None:
            self._poses.chosen(frame)
        return decision

    def map_keyframe(self, frame: Frame, decision: KeyframeDecision) -> KeyframeResult:
        """Map one keyframe: prepare, estimate depth, make it metric, fuse, revise."""
        refine, timer = self._config.refine, StageTimer(self.device)
        self.learning.take_over()
        with self.selector.withdrawn_on_error(frame.stamp_ns):
            if self._poses is not None:
                frame = self._poses.refreshed(frame)
                self.keyframes.refresh_between()
            with timer("prepare"):
                keyframe = self._prepare(frame, decision)
            with timer("depth"):
                raw = self.learning.in_room(self.source.estimate(keyframe, self.keyframes))
            with timer("refine", self.depth_stage.active(refine)):
                points = map_points(self.surfels, keyframe, refine)
                metric = self.depth_stage(keyframe, raw, self.keyframes, refine, points)
            with timer("fuse"):
                fusion = self.surfels.fuse(*self._view(keyframe, metric.mapped))
        # Nothing above was remembered. Nothing below can be refused.
        between = self.keyframes.between(keyframe, refine.motion.between)
        self.keyframes.add(metric.remembered(raw, between))
        self.depth_stage.keep(metric)
        self.selector.mapped(keyframe, metric.estimate.depth)
        refused = self._follower.follow(keyframe, metric.estimate.depth)
        facts = None if self._poses is None else self._poses.facts
        if self._lens.observe(frame, self._turning.at(frame.stamp_ns), facts):
            self.keyframes.change(self._lens.corrected)
        with timer("revise", self.depth_stage.active(refine) and refine.wait_keyframes > 0):
            revision, problem = self._revise()
        self.learning.offer(metric, raw, revision)
        return KeyframeResult(
            keyframe=keyframe,
            raw=raw,
            unrefined=metric.unrefined,
            estimate=metric.estimate,
            fusion=fusion,
            latency_ms=timer.latency_ms,
            outcome=metric.outcome,
            scale=metric.scale,
            revision=revision,
            poses=facts,
            notices=(*metric.notices, *(text for text in (refused, problem) if text is not None)),
            calibration=self._lens.notice(),
        )

    def measure_keyframe(self, frame: Frame, decision: KeyframeDecision) -> None:
        """Give the tracker the depth of one of its keyframes; the map stays as it is.

        Raises:
            E2ESlamError: the frame or its depth is refused. Nothing is changed then.
        """
        assert self.tracking is not None
        keyframe = self._prepare(frame, decision)
        raw = self.source.estimate(keyframe, self.keyframes)
        metric = self.depth_stage(keyframe, raw, self.keyframes, self._config.refine, None)
        self.tracking.mapped(keyframe, metric.estimate.depth)

    def look_back(self) -> Revision | None:
        """Give an earlier keyframe better depth, now that it has later neighbours.

        `map_keyframe` does this by itself. Result and errors are those of `LookBack`.
        """
        return self._look_back(self._config.refine)

    def remember_view(self, frame: Frame, decision: KeyframeDecision) -> Keyframe:
        """Remember a frame as a view only: it gets no depth and is not mapped."""
        keyframe = self._prepare(frame, decision)
        self.keyframes.add(MappedKeyframe(keyframe))
        return keyframe

    def move_keyframes(self, T_new_old: Mapping[int, torch.Tensor]) -> int:
        """Correct the poses of keyframes everywhere: in the map, in memory and in the rule.

        Call it on the mapping thread, after a loop was closed. Keyframes that are not given stay.
        A chosen keyframe that is not mapped yet keeps the pose of its frame.

        Args:
            T_new_old: keyframe index -> (4, 4) similarity from the map before to the map after:
                the new pose times the inverse of the old one. Unknown indices are ignored.

        Returns:
            The number of surfels that moved.

        Raises:
            PoseError: a transform is no finite similarity.
            MapError: surfels would be too far from the map's origin. Nothing is changed in
                either case.
        """
        return self._follower.move(T_new_old)

    def withdraw(self, stamp_ns: int) -> None:
        """Forget a chosen keyframe that was dropped; the next frame takes its place."""
        self.selector.withdraw(stamp_ns)

    def restart(self) -> None:
        """Choose keyframes anew after a jump in time; the map stays."""
        self.selector.restart()
        self.keyframes.restart()
        self._turning.clear()

    def forget_keyframes(self, next_index: int = 0) -> None:
        """Forget all keyframes; map and learned state stay."""
        self.keyframes.clear(next_index)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the learned state, on the CPU, to be saved with the map."""
        return self.learning.state_dict()

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore the state that `state_dict` returned. After an error nothing has changed.

        Raises:
            DepthError: the weights do not fit the depth network, or a value is not finite.
        """
        self.learning.load_state_dict(state, self._config)

    def reset(self) -> None:
        """Forget everything: the map, the keyframes and the learned state."""
        self.restart()
        self.forget_keyframes()
        self.learning.forget()
        self.surfels.clear()
        self._lens.reset()

    def close(self) -> None:
        """End the threads."""
        if self._poses is not None:
            self._poses.close()
        self.learning.close()

    def _prepare(self, frame: Frame, decision: KeyframeDecision) -> Keyframe:
        keyframe = self._corrected(frame, decision, self.keyframes.next_index)
        return keyframe if self._prepared is None else self._prepared(keyframe)

    def _as_view(self, frame: Frame) -> Keyframe:
        if self._poses is not None:
            frame = self._poses.refreshed(frame)
        return self._corrected(frame, _BETWEEN, -1)

    def _corrected(self, frame: Frame, decision: KeyframeDecision, index: int) -> Keyframe:
        keyframe = self._preprocess.keyframe(frame, decision, index)
        return self._lens.corrected(keyframe, self._turning.at(frame.stamp_ns))

    def _revise(self) -> tuple[Revision | None, str | None]:
        """Look back; return the revision, or the reason why there is none.

        The newest keyframe is in the map by now: nothing here may undo that.
        """
        if self.is_pressed():
            return None, None
        try:
            return self.look_back(), None
        except E2ESlamError as error:
            return None, str(error)
