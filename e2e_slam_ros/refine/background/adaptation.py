"""Online adaptation of the depth network in the background (the paper's section 3)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from e2e_slam_ros.config.background import BackgroundConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.refine.background.labels import (
    RoomImage,
    RoomLabel,
    RoomLabels,
    room_image,
    room_label,
)
from e2e_slam_ros.refine.background.learner import RoomLearner
from e2e_slam_ros.refine.background.unseen import UnseenErrors

# Labels before learning begins.
_FEWEST = 8
# Keyframes that wait for the thread; the oldest go first.
_MOST_WAITING = 64


@dataclass(frozen=True, eq=False)
class LearnedRoom:
    """Weights to use from the next keyframe on.

    Attributes:
        weights: by name, those that learned.
        blend: between the first weights (0) and all that was learned (1).
        ratio: median of the new predictions over those of the weights in use.

    Example:
        >>> LearnedRoom({}, blend=0.5, ratio=1.0).blend
        0.5
    """

    weights: Mapping[str, torch.Tensor]
    blend: float
    ratio: float


class BackgroundAdaptation:
    """Learns the room from looked-back keyframes; weights to use wait until they are taken over.

    Each new keyframe is predicted by the first weights and by those that learned, before it is
    learned from. What predicts better is used (`UnseenErrors`). In lock-step the steps of a
    keyframe are done at once, so that equal input gives equal weights. Otherwise a thread of its
    own does everything in the time that mapping leaves.

    Args:
        network: in use, metric; changed by `take_over` alone.
        config: steps, memory, share of time.
        size: of the network's input, (height, width); None: it takes images as they are.
        offline: lock-step.
        is_pressed: returns whether a keyframe waits to be mapped; no step begins then.

    Attributes:
        taken_over: number of times that new weights were taken over.
        blend: of the weights in use: 0 the first ones, 1 all that was learned.

    Example:
        >>> from e2e_slam_ros.depth.shipped import load_shipped
        >>> network = load_shipped("efficientnet_lite0", torch.device("cpu"))
        >>> adaptation = BackgroundAdaptation(
        ...     network, BackgroundConfig(), (192, 256), offline=True, is_pressed=lambda: False
        ... )
        >>> adaptation.take_over() is None  # nothing learned yet
        True
        >>> adaptation.close()
    """

    def __init__(
        self,
        network: DepthNetwork,
        config: BackgroundConfig,
        size: tuple[int, int] | None,
        *,
        offline: bool,
        is_pressed: Callable[[], bool],
    ) -> None:
        self._network, self._config, self._size = network, config, size
        self._is_pressed, self._offline = is_pressed, offline
        self._labels = RoomLabels(config.memory, seed=0)
        self._unseen = UnseenErrors(config.min_gain)
        self._learner: RoomLearner | None = None
        self._due = 0
        self._newest: RoomImage | None = None
        self._learned: LearnedRoom | None = None
        self._first: dict[str, torch.Tensor] | None = None
        self._in_use: Mapping[str, torch.Tensor] = {}
        self.taken_over, self.blend = 0, 0.0
        self._new: deque[tuple[int, RoomImage]] = deque(maxlen=_MOST_WAITING)
        self._condition = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def see(self, keyframe: Keyframe) -> None:
        """Predict a new keyframe with all weights, to judge them once its depth is known."""
        if self._learner is not None:
            self._hand_over(keyframe.index, room_image(keyframe, self._size))

    def offer(self, keyframe: Keyframe, estimate: DepthEstimate, usual_scale: float = 1.0) -> None:
        """Judge by a keyframe that was looked back at, then learn from it.

        Args:
            keyframe: its image.
            estimate: its depth, metres.
            usual_scale: metres of one of the network's metres, see `room_label`.
        """
        label = room_label(keyframe, estimate, self._size, usual_scale)
        if label.is_useful:
            self._hand_over(keyframe.index, label)

    def _hand_over(self, index: int, image: RoomImage) -> None:
        with self._condition:
            self._new.append((index, image))
            self._condition.notify_all()
        if self._offline:
            while self._take_in() or self._step():
                pass
        elif self._thread is None:
            self._thread = threading.Thread(target=self._run, name="adaptation", daemon=True)
            self._thread.start()

    @torch.no_grad()
    def take_over(self) -> LearnedRoom | None:
        """Put the weights to use into the network; call it between keyframes.

        Returns:
            The weights that were taken over; None where nothing changed.
        """
        with self._condition:
            learned, self._learned = self._learned, None
            if learned is None:
                return None
            named = dict(self._network.named_parameters())
            if self._first is None:
                self._first = {name: named[name].detach().clone() for name in learned.weights}
            for name, value in learned.weights.items():
                named[name].copy_(value)
            self._in_use, self.blend = learned.weights, learned.blend
        self.taken_over += 1
        return learned

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return copies of the weights that learned, by name; empty where none were taken over."""
        if self._first is None:
            return {}
        named = dict(self._network.named_parameters())
        return {name: named[name].detach().clone() for name in self._first}

    @torch.no_grad()
    def reset(self) -> None:
        """Go back to the first weights, and forget the room."""
        with self._condition:
            self._new.clear()
            self._labels.clear()
            self._learned, self._due = None, 0
            if self._first is not None:
                named = dict(self._network.named_parameters())
                for name, value in self._first.items():
                    named[name].copy_(value)
            self._first, self._learner, self._newest = None, None, None
            self._in_use, self.blend = {}, 0.0
            self._unseen = UnseenErrors(self._config.min_gain)

    def check(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Refuse saved weights that the network cannot take.

        Raises:
            DepthError: other names or shapes, or values that are not finite.
        """
        named = dict(self._network.named_parameters())
        for name, value in weights.items():
            fits = name in named and named[name].shape == value.shape
            if not fits or not bool(torch.isfinite(value).all()):
                raise DepthError.from_parts(
                    f"learned weights {name}",
                    f"shape {tuple(value.shape)}, or values that are not finite",
                    f"finite weights of {type(self._network).__name__}",
                    "load them with the depth network they were saved with",
                )

    def load_state_dict(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Use saved weights of `state_dict`, which fit the network.

        They are judged from the next keyframe on: the room may be another one.
        """
        self.reset()
        if not weights:
            return
        with self._condition:
            self._learned = LearnedRoom(dict(weights), blend=1.0, ratio=1.0)
        self.take_over()
        with self._condition:
            self._learner = RoomLearner(self._network, self._config, self._first)
            self._unseen = UnseenErrors(self._config.min_gain, blend=1.0)

    def close(self) -> None:
        """End the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(30.0)

    def _take_in(self) -> bool:
        """Judge by what is new, and remember it; return whether there was anything."""
        with self._condition:
            if not self._new:
                return False
            index, image = self._new.popleft()
            learner, unseen = self._learner, self._unseen
        if learner is not None:
            if not isinstance(image, RoomLabel):
                unseen.foresee(index, learner.foreseen(image))
            else:
                unseen.judge(index, image)
            if unseen.is_astray or not learner.is_finite:
                learner.restart()
                unseen = UnseenErrors(self._config.min_gain)
        with self._condition:
            if learner is not self._learner:
                return True  # a reset meanwhile has dropped this learner
            self._unseen = unseen
            if isinstance(image, RoomLabel):
                self._labels.add(image)
                self._due = self._config.steps
            else:
                self._newest = image
            waiting = self.blend if self._learned is None else self._learned.blend
        if unseen.blend != waiting:
            self._propose()
        return True

    def _step(self) -> bool:
        """Take one step; return whether there was one to take."""
        with self._condition:
            if self._due == 0 or len(self._labels) < _FEWEST:
                return False
            self._due -= 1
            done = self._due == 0
            learner = self._learner = self._learner or RoomLearner(self._network, self._config)
            batch = self._labels.batch(self._config.batch)
        learner.step(batch)
        if done and self._unseen.blend > 0.0:
            self._propose()
        return True

    def _propose(self) -> None:
        """Let the weights that predict best be taken over."""
        with self._condition:
            learner, image, in_use = self._learner, self._newest, self._in_use
            blend = self._unseen.blend
        if learner is None or not learner.is_finite:
            return  # what comes next makes it begin again
        weights = learner.blended(blend)
        ratio = 1.0 if image is None else learner.ratio(image, weights, in_use)
        with self._condition:
            # Others may have been taken over meanwhile; the next proposal is a step away.
            if learner is self._learner and in_use is self._in_use:
                self._learned = LearnedRoom(weights, blend, ratio)

    def _run(self) -> None:
        """Learn while there is something to learn from (own thread)."""
        torch.set_num_threads(1)
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopping or self._new or self._due > 0)
                if self._stopping:
                    return
            start = time.monotonic()
            # Judging takes two predictions and goes on while keyframes wait.
            if not self._take_in() and (self._is_pressed() or not self._step()):
                with self._condition:
                    self._condition.wait_for(lambda: self._stopping or bool(self._new), 0.1)
                continue
            # The machine belongs to tracking and mapping.
            rest_s = (time.monotonic() - start) * (1.0 / self._config.share - 1.0)
            with self._condition:
                self._condition.wait_for(lambda: self._stopping, rest_s)
