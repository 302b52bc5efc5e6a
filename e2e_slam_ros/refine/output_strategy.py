"""Output fine-tuning: the depth map itself is corrected (paper B.3)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.geometry.masks import known
from e2e_slam_ros.refine.descent import descend
from e2e_slam_ros.refine.objective import Evaluation, Objective, held_back_pixels
from e2e_slam_ros.refine.result import LearnedWeights
from e2e_slam_ros.refine.strategy import RefineAttempt
from e2e_slam_ros.refine.views import RefineViews, at_width

# The logarithm of a correction stays within this: a factor of 20 either way.
_MOST = 3.0


class Corrections(nn.Module):
    """The logarithm of the correction of inverse depth, a sum over a pyramid of images.

    Each level is half the size of the one before. A gradient at one pixel moves all levels. A few
    steps therefore carry the correction of textured pixels into the pixels around them.

    Args:
        height, width: of the finest level.
        levels: largest number of levels.
        device: of the levels.

    Example:
        >>> corrections = Corrections(48, 64, levels=5, device=torch.device("cpu"))
        >>> [tuple(level.shape[-2:]) for level in corrections.levels]
        [(48, 64), (24, 32), (12, 16), (6, 8), (3, 4)]
        >>> corrections(96, 128).shape
        torch.Size([1, 1, 96, 128])
    """

    def __init__(self, height: int, width: int, levels: int, device: torch.device) -> None:
        super().__init__()
        sizes = [(height, width)]
        while len(sizes) < levels and min(sizes[-1]) > 2:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        self.levels = nn.ParameterList(
            nn.Parameter(torch.zeros((1, 1, *size), device=device)) for size in sizes
        )

    def forward(self, height: int, width: int) -> torch.Tensor:
        """Return (1, 1, height, width), 0 = no correction."""
        levels = list(self.levels)
        total: torch.Tensor = levels[-1]
        for level in reversed(levels[:-1]):
            size = (level.shape[-2], level.shape[-1])
            total = level + functional.interpolate(
                total, size, mode="bilinear", align_corners=False
            )
        if total.shape[-2:] != (height, width):
            total = functional.interpolate(
                total, (height, width), mode="bilinear", align_corners=False
            )
        return total.clamp(-_MOST, _MOST)


class OutputStrategy:
    """Finds the corrections of one keyframe's depth. It keeps no state between keyframes.

    Example:
        >>> from e2e_slam_ros.data.keyframe import Keyframe
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
        >>> decision, depth = KeyframeDecision(True, "first"), torch.full((1, 1, 48, 64), 2.3)
        >>> def seen_from(x_m: float) -> Keyframe:  # a patterned wall at 2 m
        ...     x = (torch.arange(64.0) - camera.cx) / camera.fx * 2.0 + x_m
        ...     image = (0.5 + 0.3 * torch.sin(9.0 * x)).expand(1, 3, 48, 64)
        ...     pose = torch.eye(4, dtype=torch.float64)
        ...     pose[0, 3] = x_m
        ...     return Keyframe(0, 0, 0, image, camera, pose, None, decision)
        >>> views = RefineViews(seen_from(0.0), (seen_from(-0.1), seen_from(0.1)), depth)
        >>> config = RefineConfig(strategy="output")
        >>> attempt = OutputStrategy().run(views, config, width_factor=1.0)
        >>> bool((attempt.depth - 2.0).abs().mean() < (depth - 2.0).abs().mean())
        True
    """

    changes_source = False

    def run(self, views: RefineViews, config: RefineConfig, width_factor: float) -> RefineAttempt:
        """Return the corrected depth and the course of the descent.

        Args:
            views: checked.
            config: of the refinement.
            width_factor: of the working width, 1 or smaller.
        """
        working = at_width(views, max(16, round(config.output.width * width_factor)))
        height, width = working.depth.shape[-2:]
        device = working.depth.device
        held = held_back_pixels(
            height, width, config.guard.held_back, views.target.stamp_ns % 2**31, device
        )
        objective = Objective(working, working.depth, held, config)
        corrections = Corrections(height, width, config.output.levels, device)
        # All levels move each pixel: together they make the step that is configured.
        first = config.output.learning_rate / len(corrections.levels)
        optimiser = torch.optim.Adam(corrections.parameters(), lr=first, betas=(0.9, 0.95))

        def slow_down(step: int) -> None:
            for group in optimiser.param_groups:
                group["lr"] = first * max(0.1, 1.0 - step / config.steps)

        def evaluate() -> Evaluation:
            return objective(corrected(working.depth, corrections(height, width)))

        course = descend(
            list(corrections.parameters()),
            evaluate,
            optimiser,
            config.steps,
            config.guard,
            slow_down,
        )
        if course.best == 0:
            return RefineAttempt(views.depth, course)
        native = views.depth.shape[-2:]
        with torch.no_grad():
            depth = corrected(views.depth.clone(), corrections(native[0], native[1]))
        return RefineAttempt(depth, course)

    def keep(self, learned: LearnedWeights) -> None:
        """Nothing is learned."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return nothing: nothing is learned."""
        return {}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Nothing is learned."""

    def reset(self) -> None:
        """Nothing is learned."""


def corrected(depth: torch.Tensor, correction: torch.Tensor) -> torch.Tensor:
    """Return depth whose inverse is multiplied by exp(correction); 0 stays 0."""
    return torch.where(known(depth), depth * torch.exp(-correction), torch.zeros_like(depth))
