"""Which pixels teach depth and motion, and which teach flow (supplement, sections 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_BINS = 200
# Half the width of the box that smooths the histogram, in bins.
_SMOOTH = 4
# Values beyond these shares do not stretch the histogram.
_LOW, _HIGH = 0.005, 0.995
_MOST_FOR_QUANTILE = 200_000


@dataclass(frozen=True, eq=False)
class PixelSelection:
    """Pixels by what they teach; all tensors (B, 1, H, W) bool.

    Attributes:
        depth: teach depth and motion.
        flow: teach flow.

    >>> yes = torch.ones(1, 1, 2, 2) > 0
    >>> PixelSelection(yes, ~yes).depth.all()
    tensor(True)
    """

    depth: torch.Tensor
    flow: torch.Tensor


def mode_of(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mode and the standard deviation of a sample, two scalars.

    The mode is the middle of the fullest bin of a smoothed histogram of 200 bins. Few or equal
    values have their mean as the mode.

    Args:
        values: (N,), N may be 0.

    >>> mode, _ = mode_of(torch.randn(20000, generator=torch.Generator().manual_seed(0)) + 3.0)
    >>> abs(float(mode) - 3.0) < 0.2
    True
    """
    values = values.detach().float()
    if values.numel() == 0:
        return values.new_zeros(()), values.new_zeros(())
    some = values[:: max(1, values.numel() // _MOST_FOR_QUANTILE)]
    low, high = torch.quantile(some, torch.tensor([_LOW, _HIGH], device=values.device)).tolist()
    deviation = values.std(unbiased=False)
    if values.numel() < _BINS or not high > low:
        return values.mean(), deviation
    counts = torch.histc(values.cpu(), _BINS, low, high)
    box = torch.ones(1, 1, 2 * _SMOOTH + 1)
    smooth = torch.nn.functional.conv1d(counts[None, None], box, padding=_SMOOTH)[0, 0]
    centre = low + (float(smooth.argmax()) + 0.5) * (high - low) / _BINS
    return values.new_tensor(centre), deviation


def select_by_sign(delta: torch.Tensor, valid: torch.Tensor) -> PixelSelection:
    """Return the selection of ``min(Phi_D, Phi_F)``: whoever explains a pixel better learns it.

    Args:
        delta: (B, 1, H, W), Phi_D - Phi_F.
        valid: (B, 1, H, W) bool, both errors are known.

    >>> delta = torch.tensor([-0.1, 0.2]).view(1, 1, 1, 2)
    >>> select_by_sign(delta, delta < 1.0).depth.flatten()
    tensor([ True, False])
    """
    return PixelSelection(valid & (delta < 0), valid & (delta > 0))


def select_near_mode(delta: torch.Tensor, valid: torch.Tensor, eta: float) -> PixelSelection:
    """Return the selection around the mode: V_eta = {|Delta - mode| < eta sigma}.

    Whatever lead flow has over depth in all pixels moves the mode, and the selection with it.
    Pixels of moving objects have a Delta far to the right, and failed flow one far to the left.
    Inferred: eta is in standard deviations of Delta, the mode is that of the batch, and flow
    learns from every valid pixel.

    Args:
        delta, valid: as in `select_by_sign`.
        eta: half the width of the neighbourhood.

    >>> delta = 0.01 * torch.randn(1, 1, 50, 50, generator=torch.Generator().manual_seed(0)) + 0.3
    >>> chosen = select_near_mode(delta, delta < 1.0, eta=1.0)
    >>> 0.5 < float(chosen.depth.float().mean()) < 0.8, bool(chosen.flow.all())
    (True, True)
    """
    mode, deviation = mode_of(delta[valid])
    near = (delta - mode).abs() <= eta * deviation
    return PixelSelection(valid & near, valid)
