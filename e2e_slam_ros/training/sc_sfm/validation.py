"""How good the network is on frames it does not learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from e2e_slam_ros.config import CameraConfig
from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice, parse_frames
from e2e_slam_ros.depth.architecture import DepthNetwork, depth_from_disparity
from e2e_slam_ros.evaluation.depth.metrics import depth_metrics, mean_depth_metrics
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig, ValidationConfig
from e2e_slam_ros.training.task import RunContext

_WIDTH = 320
_METRICS = ("abs_rel", "rmse", "delta_1")


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One frame: image (1, 3, H, W) of the network's size, depth (1, 1, h, w), its K (3, 3).

    >>> image, depth = torch.zeros(1, 3, 64, 64), torch.ones(1, 1, 48, 64)
    >>> LabelledImage(image, depth, torch.eye(3)).depth.shape
    torch.Size([1, 1, 48, 64])
    """

    image: torch.Tensor
    depth: torch.Tensor
    intrinsics: torch.Tensor


class Validation:
    """A fixed set of labelled frames.

    Args:
        config: which frames, and the range of depth that counts.

    Raises:
        DataError: the sequence cannot be read.
        TrainingError: none of its frames has depth.

    >>> import tempfile
    >>> from e2e_slam_ros.data.tum_writer import TumWriter
    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> reader = ProceduralReader(0, 1, 64, 48, texture_size=64)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TumWriter(folder, reader.camera) as writer:
    ...         writer.write(reader[0])
    ...     found = Validation(ValidationConfig(path=folder), 64, 64, torch.device("cpu"))
    >>> len(found)
    1
    """

    def __init__(
        self, config: ValidationConfig, width: int, height: int, device: torch.device
    ) -> None:
        self._config = config
        reader = open_reader(Path(config.path).expanduser())
        start, stop = parse_frames(config.frames)
        chosen = FrameSlice(reader, start, stop)
        prepare = Preprocessor(CameraConfig(working_width=_WIDTH), torch.device("cpu"))
        self._images: list[LabelledImage] = []
        for index in _spread(len(chosen), config.count):
            frame = prepare(chosen[index])
            if frame.depth is None or not bool((frame.depth > 0).any()):
                continue
            image = functional.interpolate(
                frame.image, (height, width), mode="bilinear", align_corners=False, antialias=True
            )
            self._images.append(
                LabelledImage(
                    image.to(device), frame.depth.to(device), frame.camera.matrix(device)
                )
            )
        if not self._images:
            raise TrainingError.from_parts(
                f"validation sequence {config.path}",
                "no frame with depth",
                "labelled frames",
                "choose another validation.path or validation.frames, or leave the path empty",
            )

    def __len__(self) -> int:
        return len(self._images)

    @torch.inference_mode()
    def measure(self, network: DepthNetwork) -> dict[str, float]:
        """Return mean metrics over the frames: "raw.abs_rel", "median_scaled.abs_rel", ...

        Median-scaled means that each frame's depth is multiplied so that its median is the true
        one. Metrics of a frame without pixels that count are left out.
        """
        depths = [self._predict(network, item) for item in self._images]
        low, high = self._config.min_m, self._config.max_m
        figures: dict[str, float] = {}
        for kind in ("raw", "median_scaled"):
            mean = mean_depth_metrics(
                depth_metrics(depth, item.depth, low, high, median_scale=kind != "raw")
                for depth, item in zip(depths, self._images, strict=True)
            )
            if mean is not None:
                figures |= {f"{kind}.{name}": float(getattr(mean, name)) for name in _METRICS}
        return figures

    def _predict(self, network: DepthNetwork, item: LabelledImage) -> torch.Tensor:
        # Disparity, not depth, is affine across a plane: resizing it keeps planes.
        disparity = functional.interpolate(
            network(item.image).float(),
            item.depth.shape[-2:],
            mode="bilinear",
            align_corners=False,
        )
        return depth_from_disparity(
            disparity, item.intrinsics, focal_normalised=network.focal_normalised
        )


def validation_of(config: SCSfMConfig, context: RunContext) -> Validation | None:
    """Return the validation frames, or None, said, where no sequence is named.

    Raises:
        DataError: the sequence cannot be read.
        TrainingError: none of its frames has depth.
    """
    settings = config.validation
    if not settings.path:
        context.say("no validation.path: the training's own loss is all that is measured")
        return None
    found = Validation(settings, config.width, config.height, context.device)
    context.say(f"validation: {len(found)} frames of {settings.path}")
    return found


def _spread(length: int, count: int) -> list[int]:
    """Return up to ``count`` evenly spaced indices below ``length``."""
    count = min(length, count)
    return sorted({round(i * (length - 1) / max(count - 1, 1)) for i in range(count)})
