"""The two-view protocol: depth and motion of pairs of frames, compared with those recorded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, DataError, E2ESlamError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.text_list import read_text, words_of
from e2e_slam_ros.evaluation.two_view.pair_errors import PairErrors, pair_errors
from e2e_slam_ros.evaluation.two_view.predictors import TwoViewPredictor
from e2e_slam_ros.evaluation.working_frames import WorkingFrames
from e2e_slam_ros.geometry import se3

# Reference and other, positions in the sequence.
Pair = tuple[int, int]
# Cameras that are nearer to one another show no depth.
_LEAST_BASELINE_M = 0.01


def pairs_of(count: int, gap: int, every: int) -> list[Pair]:
    """Return pairs ``gap`` frames apart, one from every ``every``-th frame.

    >>> pairs_of(7, gap=2, every=3)
    [(0, 2), (3, 5)]

    Raises:
        ConfigError: a number below 1, or no pair in so few frames.
    """
    if gap < 1 or every < 1 or gap >= count:
        raise ConfigError.from_parts(
            "--gap and --every",
            f"{gap} and {every} with {count:,} frames",
            "1 or more, and a gap smaller than the number of frames",
            "choose others",
        )
    return [(i, i + gap) for i in range(0, count - gap, every)]


def listed_pairs(path: Path, count: int) -> list[Pair]:
    """Return the pairs of a list: two numbers of frames a line, counted from 0.

    Raises:
        DataError: the file cannot be read, has no pair, or a line is no pair of other frames.
    """
    pairs = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = words_of(line)
        if not words:
            continue
        good = len(words) == 2 and all(word.isdecimal() for word in words)
        first, second = (int(words[0]), int(words[1])) if good else (0, 0)
        if not good or first == second or max(first, second) >= count:
            raise DataError.from_parts(
                f"pairs {path}, line {number}",
                repr(line.strip()),
                f"two different numbers of frames, 0 to {count - 1}",
                "correct the line",
            )
        pairs.append((first, second))
    if not pairs:
        raise DataError.from_parts(f"pairs {path}", "no pair", "two numbers a line", "add pairs")
    return pairs


class TwoViewProtocol:
    """Compares depth and motion of pairs with the recording's.

    Args:
        predict: called once a pair.
        config: the range of true depth that counts.

    Attributes:
        errors: name of a step -> errors of each pair, as far as `run` has come.

    >>> from e2e_slam_ros.evaluation.two_view.predictors import TwoViewGuess
    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> reader = ProceduralReader(0, 3, 64, 48, texture_size=64)
    >>> frames = WorkingFrames(reader, Config().camera, torch.device("cpu"))
    >>> def predict(reference: Keyframe, other: Keyframe) -> list[TwoViewGuess]:
    ...     T = se3.inverse(other.T_map_camera) @ reference.T_map_camera
    ...     return [TwoViewGuess("the truth", 2.0 * reference.sensor_depth, T)]
    >>> protocol = TwoViewProtocol(predict, Config())
    >>> protocol.run(frames, [(0, 2)])
    >>> protocol.errors["the truth"][0].scale
    0.5
    """

    def __init__(self, predict: TwoViewPredictor, config: Config) -> None:
        self._predict = predict
        self._depth = config.depth
        self.errors: dict[str, list[PairErrors]] = {}

    def run(self, frames: WorkingFrames, pairs: Iterable[Pair]) -> None:
        """Score the pairs whose frames have poses, and depth at the first one.

        Raises:
            DataError: no pair could be scored; with the reasons.
        """
        asked = 0
        for pair in pairs:
            asked += 1
            views = list(frames.at(pair))
            if len(views) == 2:
                self._score(views[0], views[1], frames)
        if not self.errors:
            do = "choose a sequence with depth images and poses, or another --gap"
            raise frames.left_out.refusal(
                asked, "pairs with poses and true depth", do, self._depth
            )

    @torch.inference_mode()
    def _score(self, reference: Keyframe, other: Keyframe, frames: WorkingFrames) -> None:
        truth = reference.sensor_depth
        T_true = se3.inverse(other.T_map_camera) @ reference.T_map_camera
        if not (frames.has_pose(reference) and frames.has_pose(other)):
            frames.left_out.add("no pose")
        elif truth is None or not bool((truth > 0).any()):
            frames.left_out.add("no true depth")
        elif float(T_true[:3, 3].norm()) < _LEAST_BASELINE_M:
            frames.left_out.add("the camera did not move")
        else:
            self._compare(reference, other, truth, T_true, frames)

    def _compare(
        self,
        reference: Keyframe,
        other: Keyframe,
        truth: torch.Tensor,
        T_true: torch.Tensor,
        frames: WorkingFrames,
    ) -> None:
        try:
            guesses = self._predict(reference, other)
        except E2ESlamError as problem:
            frames.left_out.add("no prediction", problem)
            return
        limits = self._depth.min_m, self._depth.max_m
        found = {
            guess.step: pair_errors(guess.depth, guess.T_other_reference, truth, T_true, *limits)
            for guess in guesses
        }
        # All steps are compared on the same pairs.
        known = {name: errors for name, errors in found.items() if errors is not None}
        if len(known) < len(found):
            frames.left_out.add("no pixel with both depths")
            return
        for name, errors in known.items():
            self.errors.setdefault(name, []).append(errors)
