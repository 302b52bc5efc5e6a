"""The Eigen protocol: the depth of single images of KITTI against the laser scanner's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, DataError, E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.evaluation.depth.predictor import Predictor
from e2e_slam_ros.evaluation.eigen.image_score import (
    FARTHEST_M,
    NEAREST_M,
    EigenScore,
    eigen_score,
)
from e2e_slam_ros.evaluation.left_out import LeftOut
from e2e_slam_ros.evaluation.score_table import counted
from e2e_slam_ros.slam.depth_sources import depth_traits
from e2e_slam_ros.slam.preprocess import Preprocessor

_DECISION = KeyframeDecision(True, "every image")


class EigenProtocol:
    """Scores the images of a list one by one.

    Args:
        predict: called once an image.
        config: the camera's working size.
        device: where images live.

    Attributes:
        scores: of the images so far.
        left_out: the images that could not be scored.

    >>> from e2e_slam_ros.evaluation.depth.predictor import PredictedDepth
    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> reader = ProceduralReader(0, 1, 64, 48, texture_size=64)
    >>> def predict(keyframe):
    ...     return PredictedDepth(torch.ones_like(keyframe.image[:, :1]))
    >>> protocol = EigenProtocol(predict, Config(), torch.device("cpu"))
    >>> protocol.run(reader, range(1))
    >>> len(protocol.scores)
    1
    """

    def __init__(self, predict: Predictor, config: Config, device: torch.device) -> None:
        self._predict = predict
        self._prepare = Preprocessor(config.camera, device)
        self.scores: list[EigenScore] = []
        self.left_out = LeftOut()

    def run(self, reader: FrameReader, positions: Iterable[int]) -> None:
        """Score images of a reader.

        Raises:
            DataError: none could be scored; with the reasons.
        """
        for position in positions:
            try:
                frame = reader[position]
            except E2ESlamError as problem:
                self.left_out.add("unreadable", problem)
                continue
            if frame.depth is None:
                self.left_out.add("no true depth")
                continue
            self._score(frame)
        if not self.scores:
            reasons = ", ".join(counted(self.left_out.counts))
            first = self.left_out.first_problem
            raise DataError.from_parts(
                "images to evaluate",
                f"none of {len(reader):,} that could be compared: {reasons}"
                + (f"; the first problem: {first}" if first else ""),
                f"images with true depth between {NEAREST_M:g} and {FARTHEST_M:g} m",
                "check --data, --list and --truth",
            )

    @torch.inference_mode()
    def _score(self, frame: Frame) -> None:
        assert frame.depth is not None
        view = replace(frame, depth=None, T_map_camera=np.eye(4))
        try:
            keyframe = self._prepare.keyframe(view, _DECISION, len(self.scores))
            depth = self._predict(keyframe).depth[0, 0]
        except E2ESlamError as problem:
            self.left_out.add("no prediction", problem)
            return
        score = eigen_score(depth, torch.from_numpy(frame.depth).to(depth.device))
        if score is None:
            self.left_out.add("no pixel with both depths")
        else:
            self.scores.append(score)


def refuse_other_views(config: Config) -> None:
    """Raise `ConfigError` for a depth source that does not see one image alone."""
    if not depth_traits(config).has_network:
        raise ConfigError.from_parts(
            "depth.source",
            repr(config.depth.source),
            "'network': the list's images have no neighbours",
            "give --set depth.source=network",
        )
