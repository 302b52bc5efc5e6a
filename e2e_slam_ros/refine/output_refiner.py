"""Output fine-tuning: the depth map itself is corrected (paper B.3)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.geometry.masks import known
from e2e_slam_ros.refine.descent import Descent, descend
from e2e_slam_ros.refine.objective import Evaluation, Objective, held_back_pixels
from e2e_slam_ros.refine.views import RefineViews, at_width

# The logarithm of a correction stays within this: a factor of 20 either way.
_MOST = 3.0


class Corrections(nn.Module):
    """The logarithm of the correction of inverse depth, a sum over a pyramid of images.

    Each level is half the size of the one before. A gradient at one pixel moves all levels, so
    a few steps carry what textured pixels know into those around them: coarse to fine at once.

    Args:
        height, width: of the finest level.
        levels: how many.
        device: where.
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


class OutputRefiner:
    """Finds the corrections of one keyframe's depth; keeps nothing from one to the next."""

    def __init__(self, config: RefineConfig) -> None:
        self._config = config

    def reconfigure(self, config: RefineConfig) -> None:
        """Go on with other settings."""
        self._config = config

    def run(self, views: RefineViews, width_factor: float) -> tuple[torch.Tensor, Descent]:
        """Return the corrected depth (1, 1, H, W) and the course.

        Args:
            views: checked.
            width_factor: of the working width, 1 or smaller.
        """
        config = self._config
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
            return views.depth, course
        native = views.depth.shape[-2:]
        with torch.no_grad():
            return corrected(views.depth.clone(), corrections(native[0], native[1])), course


def corrected(depth: torch.Tensor, correction: torch.Tensor) -> torch.Tensor:
    """Return depth whose inverse is multiplied by exp(correction); 0 stays 0."""
    return torch.where(known(depth), depth * torch.exp(-correction), torch.zeros_like(depth))
