"""What a run learns: the scale of depth, weights by refinement, and the room in the background."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.refine.background.adaptation import BackgroundAdaptation
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.slam.build_adaptation import build_adaptation
from e2e_slam_ros.slam.result import Revision

# Prefix of the weights that learned in the background, in the state that is saved; and the scale.
_ROOM, _ROOM_SCALE = "room.", "room_scale"
# The network's metres become those of the room by this power of the usual scale: all of it gains
# little more where it helps, and loses much where the usual scale was wrong (docs/benchmarks.md).
_SHARE = 0.5


class Learning:
    """Keeps the depth stage and the learning in the background in step.

    Args:
        config: of all stages.
        source: of depth.
        depth_stage: holds the scale and what refinement has learned.
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
        is_pressed: Callable[[], bool],
    ) -> None:
        self._source, self._depth_stage = source, depth_stage
        self._is_pressed = is_pressed
        self._adaptation: BackgroundAdaptation | None = None
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

    @property
    def blend(self) -> float:
        """Share of the learned weights in those in use: 0 the first ones, 1 the learned ones."""
        return 0.0 if self._adaptation is None else self._adaptation.blend

    def offer(self, keyframe: Keyframe, revision: Revision | None) -> None:
        """Judge by the newest keyframe, and learn from one that was looked back at."""
        if self._adaptation is None or not self._is_on:
            return
        self._adaptation.see(keyframe)
        if revision is not None:
            usual = self._depth_stage.usual_factor
            self._adaptation.offer(revision.keyframe, revision.estimate, usual)

    def take_over(self) -> None:
        """Use what the network has learned of the room; call it between keyframes."""
        if self._adaptation is None or not self._is_on:
            return
        learned = self._adaptation.take_over()
        if learned is not None:
            self._depth_stage.follow_network(learned.ratio)
        if self._depth_stage.scale is not None:
            self._room_scale = self._depth_stage.usual_factor**_SHARE

    @property
    def _room_scale(self) -> float:
        """Metres in this room of one of the network's; part of its later predictions."""
        return 1.0 if self._source.network is None else self._source.network.room_scale

    @_room_scale.setter
    def _room_scale(self, scale: float) -> None:
        if self._source.network is not None:
            self._source.network.room_scale = scale

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the learned state, on the CPU."""
        state = self._depth_stage.state_dict()
        room = {} if self._adaptation is None else self._adaptation.state_dict()
        if self._room_scale != 1.0:
            state[_ROOM_SCALE] = torch.tensor(self._room_scale, dtype=torch.float64)
        return state | {_ROOM + name: value.cpu() for name, value in room.items()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor], config: Config) -> None:
        """Restore the state that `state_dict` returned. After an error nothing has changed.

        Weights that learned in the background are left out where nothing learns.

        Raises:
            DepthError: the weights do not fit the depth network, a value is not finite, or the
                scale is no scale.
        """
        room = {n.removeprefix(_ROOM): v for n, v in state.items() if n.startswith(_ROOM)}
        rest = {name: value for name, value in state.items() if not name.startswith(_ROOM)}
        scale = float(rest.pop(_ROOM_SCALE, torch.ones(())))
        if not 0.0 < scale < math.inf:
            raise DepthError.from_parts(
                "the learned scale", scale, "a factor above 0", "load another saved state"
            )
        if self._adaptation is not None:
            self._adaptation.check(room)
        self._depth_stage.load_state_dict(rest, config.refine)
        if self._adaptation is not None:
            self._adaptation.load_state_dict(room)
        self._room_scale = scale

    def forget(self) -> None:
        """Go back to the network's first weights; forget scales and counts."""
        self._depth_stage.forget_learned()
        self._room_scale = 1.0
        if self._adaptation is not None:
            self._adaptation.reset()

    def close(self) -> None:
        """End the thread."""
        if self._adaptation is not None:
            self._adaptation.close()
