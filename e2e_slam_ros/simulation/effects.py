"""Effects of a real camera: lens blur, vignette, exposure drift and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from e2e_slam_ros.simulation.dice import Dice


@dataclass(frozen=True)
class SensorEffects:
    """Strength of each camera effect. Zeros give the clean rendering.

    Attributes:
        blur: share of the light that the lens spreads to the neighbouring pixels.
        vignette: darkening in the corners, as a fraction.
        exposure_drift: slow change of brightness over time, as a fraction.
        noise: standard deviation of a grey pixel's noise, in [0, 1] units.
        seed: seed of the noise and of the drift's phase.

    >>> grey = torch.full((3, 4, 4), 0.5)
    >>> clean = SensorEffects(0, 0, 0, 0).apply(grey, index=0, time_s=0.0)
    >>> bool(torch.allclose(clean, grey))
    True
    """

    blur: float = 0.25
    vignette: float = 0.08
    exposure_drift: float = 0.02
    noise: float = 0.006
    seed: int = 0

    def apply(self, image: torch.Tensor, index: int, time_s: float) -> torch.Tensor:
        """Return ``image`` (3, H, W) in [0, 1] with the effects of a frame.

        ``index`` is the number of the frame, ``time_s`` the time at which it was taken.
        """
        if self.blur > 0:
            image = _spread(image, self.blur)
        if self.vignette > 0:
            image = image * _vignette(image, self.vignette)
        if self.exposure_drift > 0:
            phase = Dice(self.seed, stream=4).uniform(0.0, 2 * math.pi)
            drift = math.sin(2 * math.pi * time_s / 7.0 + phase)
            image = image * (1.0 + self.exposure_drift * drift)
        if self.noise > 0:
            # The noise is drawn on the CPU, so that every device makes the same picture.
            grain = Dice(self.seed, stream=1000 + index).randn(*image.shape).to(image.device)
            # Shot noise has a variance proportional to the light.
            image = image + self.noise * grain * (0.4 + 1.2 * image).sqrt()
        return image.clamp(0.0, 1.0)


def _spread(image: torch.Tensor, amount: float) -> torch.Tensor:
    side = 0.25 * amount
    kernel = torch.tensor([side, 1.0 - 2 * side, side], device=image.device)
    padded = F.pad(image[None], (1, 1, 1, 1), mode="replicate").transpose(0, 1)
    across = F.conv2d(padded, kernel.reshape(1, 1, 1, 3))
    return F.conv2d(across, kernel.reshape(1, 1, 3, 1))[:, 0]


def _vignette(image: torch.Tensor, amount: float) -> torch.Tensor:
    height, width = image.shape[-2:]
    v = torch.linspace(-1.0, 1.0, height, device=image.device)[:, None]
    u = torch.linspace(-1.0, 1.0, width, device=image.device)
    return 1.0 - 0.5 * amount * (u.square() + v.square())
