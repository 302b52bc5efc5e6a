"""Online adaptation of the depth network in the background (the paper's section 3)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import torch

from e2e_slam_ros.config.background import BackgroundConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.refine.background.labels import RoomLabel, RoomLabels, room_label
from e2e_slam_ros.refine.background.learner import LearnedRoom, RoomLearner

# Labels before learning begins; two of them are held back.
_FEWEST = 10
# The copy is judged after so many steps.
_JUDGE_EVERY = 10


class BackgroundAdaptation:
    """Learns the room from looked-back keyframes; better weights wait until they are taken over.

    In lock-step the steps of a keyframe are done at once, so that equal input gives equal
    weights. Otherwise a thread of its own does them in the time that mapping leaves.

    Args:
        network: in use, metric; changed by `take_over` alone.
        config: steps, memory, share of time.
        size: of the network's input, (height, width); None: it takes images as they are.
        offline: lock-step.
        is_pressed: returns whether a keyframe waits to be mapped; no step begins then.

    Attributes:
        taken_over: number of times that new weights were taken over.

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
        self._learner: RoomLearner | None = None
        self._due = self._steps = 0
        self._learned: LearnedRoom | None = None
        self._first: dict[str, torch.Tensor] | None = None
        self.taken_over = 0
        self._new: deque[RoomLabel] = deque()
        self._condition = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def offer(self, keyframe: Keyframe, estimate: DepthEstimate) -> None:
        """Learn from a keyframe that was looked back at."""
        label = room_label(keyframe, estimate, self._size)
        if not label.is_useful:
            return
        with self._condition:
            self._new.append(label)
            self._due = self._config.steps
            self._condition.notify_all()
        if self._offline:
            self._take_labels()
            while self._step():
                pass
        elif self._thread is None:
            self._thread = threading.Thread(target=self._run, name="adaptation", daemon=True)
            self._thread.start()

    @torch.no_grad()
    def take_over(self) -> LearnedRoom | None:
        """Put learned weights into the network in use; call it between keyframes.

        Returns:
            The weights that were taken over; None where there were none.
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
        if self._learner is not None:
            self._learner.network_changed()
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
            self._first, self._learner = None, None

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
        """Use saved weights of `state_dict`, which fit the network."""
        self.reset()
        if not weights:
            return
        with self._condition:
            self._learned = LearnedRoom(dict(weights), error=1.0, before=1.0, ratio=1.0)
        self.take_over()

    def close(self) -> None:
        """End the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(30.0)

    def _take_labels(self) -> None:
        with self._condition:
            while self._new:
                self._labels.add(self._new.popleft())

    def _step(self) -> bool:
        """Take one step; return whether there was one to take."""
        with self._condition:
            if self._due == 0 or len(self._labels) < _FEWEST - 2 or not self._labels.judges:
                return False
            self._due -= 1
            learner = self._learner = self._learner or RoomLearner(self._network, self._config)
            batch, judges = self._labels.batch(self._config.batch), list(self._labels.judges)
        learner.step(batch)
        self._steps += 1
        if self._steps % _JUDGE_EVERY == 0:
            learned = learner.judged(judges)
            with self._condition:
                # A reset meanwhile has dropped this learner.
                if learned is not None and learner is self._learner:
                    self._learned = learned
        return True

    def _run(self) -> None:
        """Learn while there is something to learn from (own thread)."""
        torch.set_num_threads(1)
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopping or self._new or self._due > 0)
                if self._stopping:
                    return
            self._take_labels()
            start = time.monotonic()
            if self._is_pressed() or not self._step():
                with self._condition:
                    self._condition.wait_for(lambda: self._stopping or bool(self._new), 0.1)
                continue
            # The machine belongs to tracking and mapping.
            rest_s = (time.monotonic() - start) * (1.0 / self._config.share - 1.0)
            with self._condition:
                self._condition.wait_for(lambda: self._stopping, rest_s)
