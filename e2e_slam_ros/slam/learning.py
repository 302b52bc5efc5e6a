"""What a run learns: the scale of depth, weights by refinement, and the room in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import RawDepth
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.refine.background.adaptation import BackgroundAdaptation
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.refine.metric_depth import MetricDepth
from e2e_slam_ros.refine.room_memory.room_memory import RoomMemory
from e2e_slam_ros.refine.room_memory.seen_place import place_of
from e2e_slam_ros.slam.build_adaptation import build_adaptation, build_memory
from e2e_slam_ros.slam.result import Revision

# Prefixes of names in the state that is saved: learned weights, places of the room.
_ROOM, _PLACES = "room.", "places."
# A few places may all be wrong together, as where a camera hardly moves.
_FEWEST_PLACES = 8
# Part of states saved by earlier versions; the places take its place.
_ROOM_SCALE = "room_scale"


class Learning:
    """Keeps the depth stage and the learning in the background in step.

    Args:
        config: of all stages.
        source: of depth.
        depth_stage: holds the scale and what refinement has learned.
        device: where keyframes live.
        is_pressed: returns whether a keyframe waits to be mapped.

    Example:
        >>> from e2e_slam_ros.slam.pipeline import SlamPipeline
        >>> pipeline = SlamPipeline(Config(), torch.device("cpu"))
        >>> pipeline.learning.taken_over, pipeline.learning.state_dict()
        (0, {})
    """

    def __init__(
        self,
        config: Config,
        source: DepthSource,
        depth_stage: DepthStage,
        device: torch.device,
        is_pressed: Callable[[], bool],
    ) -> None:
        self._source, self._depth_stage, self._device = source, depth_stage, device
        self._is_pressed = is_pressed
        self._adaptation: BackgroundAdaptation | None = None
        self._memory: RoomMemory | None = None
        self.configure(config)

    @property
    def taken_over(self) -> int:
        """Number of times that weights learned in the background were taken over."""
        return 0 if self._adaptation is None else self._adaptation.taken_over

    def configure(self, config: Config) -> None:
        """Use changed parameters; learning in the background begins, or pauses."""
        self._is_on = config.refine.strategy == "auto"
        if self._adaptation is None:
            self._adaptation = build_adaptation(config, self._source, self._is_pressed)
        if self._memory is None:
            self._memory = build_memory(config, self._source)

    @property
    def blend(self) -> float:
        """Share of the learned weights in those in use: 0 the first ones, 1 the learned ones."""
        return 0.0 if self._adaptation is None else self._adaptation.blend

    def in_room(self, raw: RawDepth) -> RawDepth:
        """Return the source's answer with the depth that is expected in this room."""
        if self._memory is None or not self._is_on or len(self._memory) < _FEWEST_PLACES:
            return raw
        return self._memory.in_room(raw)

    def offer(self, newest: MetricDepth, raw: RawDepth, revision: Revision | None) -> None:
        """Judge by the newest keyframe, and learn from it and from one that was looked back at.

        Args:
            newest: depth of the newest keyframe.
            raw: the source's answer for it.
            revision: of an earlier keyframe.
        """
        if not self._is_on:
            return
        self._remember(newest, raw, revision)
        if self._adaptation is not None:
            self._adaptation.see(newest.keyframe)
            if revision is not None:
                usual = self._depth_stage.usual_factor
                self._adaptation.offer(revision.keyframe, revision.estimate, usual)

    def _remember(self, newest: MetricDepth, raw: RawDepth, revision: Revision | None) -> None:
        """Remember the network's error at keyframes whose own motion tells their scale.

        Keyframes with the scale of others agree with them, right or wrong.
        """
        if self._memory is None:
            return
        if newest.scale_sigma is not None and newest.motion_weight is not None:
            place = place_of(raw, newest.estimate, newest.scale_sigma)
            self._memory.remember(newest.keyframe.index, place)
        if revision is not None and revision.scale_sigma is not None:
            place = place_of(revision.raw, revision.estimate, revision.scale_sigma)
            self._memory.remember(revision.keyframe.index, place)

    def take_over(self) -> None:
        """Use what the network has learned of the room; call it between keyframes."""
        if self._adaptation is None or not self._is_on:
            return
        learned = self._adaptation.take_over()
        if learned is not None:
            self._depth_stage.follow_network(learned.ratio)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the learned state, on the CPU."""
        weights = {} if self._adaptation is None else self._adaptation.state_dict()
        places = {} if self._memory is None else self._memory.state_dict()
        state = self._depth_stage.state_dict()
        state |= {_ROOM + name: value.cpu() for name, value in weights.items()}
        return state | {_PLACES + name: value for name, value in places.items()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor], config: Config) -> None:
        """Restore the state that `state_dict` returned. After an error nothing has changed.

        What learned in the background is left out where nothing learns.

        Raises:
            DepthError: the weights do not fit the depth network, a value is not finite, or the
                places of the room are none.
        """
        room, places = _named(state, _ROOM), _named(state, _PLACES)
        rest = {
            name: value
            for name, value in state.items()
            if not name.startswith((_ROOM, _PLACES)) and name != _ROOM_SCALE
        }
        if self._adaptation is not None:
            self._adaptation.check(room)
        RoomMemory.check(places)
        self._depth_stage.load_state_dict(rest, config.refine)
        if self._adaptation is not None:
            self._adaptation.load_state_dict(room)
        if self._memory is not None:
            self._memory.load_state_dict(places, self._device)

    def forget(self) -> None:
        """Go back to the network's first weights; forget scales, counts and places."""
        self._depth_stage.forget_learned()
        if self._adaptation is not None:
            self._adaptation.reset()
        if self._memory is not None:
            self._memory.clear()

    def close(self) -> None:
        """End the thread."""
        if self._adaptation is not None:
            self._adaptation.close()


def _named(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the values whose names begin with a prefix, without it."""
    return {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
