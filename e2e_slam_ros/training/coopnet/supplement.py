"""The supplement's sections 1 and 2 as experiments with numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ModeBound:
    """The two sides of section 2 for a normal Delta.

    Attributes:
        l1: E[Phi_D | Delta in V_eta].
        l2: E[Phi_D | Delta < 0].
        printed_bound: right side of eq. 24, L2 + 2 mu eta / (sqrt(2 pi) sigma) - (r - epsilon)
            with the printed epsilon of eq. 20.
        exact_bound: the same with conditional means: L2 + mu - (r - epsilon).
        promised: eq. 25's condition for L1 < L2 holds as printed.

    >>> mode_bound(mu=1.0, sigma=0.5, eta=0.1, advantage=3.0).l1 < 5.0
    True
    """

    l1: float
    l2: float
    printed_bound: float
    exact_bound: float
    promised: bool


def drift(
    steps: int, runs: int, p: float, rate: float, bias: float = 1.0, seed: int = 0
) -> torch.Tensor:
    """Return Delta_n of eq. 7 for the example of eq. 8, (runs, steps), from Delta_0 = 0.

    alpha_i = (-1)^beta / sqrt(i + 1) with beta = 1 with probability p; epsilon_i = bias /
    sqrt(i + 1). The mean grows as 2 rate bias (1 - 2 p) (ln n + 0.577); what is left converges.

    Args:
        rate: lambda.
        bias: 0 removes the intrinsic bias, 1 is the supplement's.

    >>> drift(1000, 50, p=0.2, rate=0.1)[:, -1].mean() > 0.5
    tensor(True)
    """
    generator = torch.Generator().manual_seed(seed)
    index = torch.arange(steps, dtype=torch.float64)
    beta = torch.rand(runs, steps, generator=generator, dtype=torch.float64) < p
    alpha = torch.where(beta, -1.0, 1.0) / (index + 1).sqrt()
    return (2.0 * rate * alpha * bias / (index + 1).sqrt()).cumsum(1)


def closed_loop(
    selection: str,
    steps: int,
    lead: float,
    sigma: float = 1.0,
    rate: float = 0.05,
    eta: float = 0.5,
) -> torch.Tensor:
    """Return the mean of Delta over steps, (steps,), where the share of pixels sets the progress.

    Eq. 2 with the loop closed: Delta is normal with mean m, so that P(Delta > 0) follows from m.
    Each network's error falls in proportion to the share of the pixels that teach it, as eq. 2
    says, and to how much error is left (inferred; else errors become negative).

    Args:
        selection: "min": depth learns where Delta < 0, flow where Delta > 0; "mode": depth learns
            in V_eta, flow from a share as large (inferred).
        lead: mean of Delta at the start, the intrinsic bias.
        eta: in deviations.

    >>> lost = closed_loop("min", 400, lead=0.5)
    >>> kept = closed_loop("mode", 400, lead=0.5)
    >>> bool(lost.max() > 2.0 * lost[0]), bool(kept.max() <= kept[0])
    (True, True)
    """
    floor = 1.0
    depth, flow = 4.0 + lead, 4.0
    means = []
    for _ in range(steps):
        mean = depth - flow
        means.append(mean)
        if selection == "min":
            for_flow = 0.5 * (1.0 + math.erf(mean / (sigma * math.sqrt(2.0))))
            for_depth = 1.0 - for_flow
        else:
            for_depth = for_flow = math.erf(eta / math.sqrt(2.0))
        depth -= rate * for_depth * (depth - floor)
        flow -= rate * for_flow * (flow - floor)
    return torch.tensor(means, dtype=torch.float64)


def mode_bound(mu: float, sigma: float, eta: float, advantage: float) -> ModeBound:
    """Return both sides of section 2's inequality, in closed form.

    Delta ~ N(mu, sigma^2). Phi_F is a constant c = 1 near the mode and ``c + advantage`` for
    Delta < 0: the second assumption holds with equality, r = advantage.

    The printed eq. 13-16 integrate Delta over V_eta without dividing by P(Delta in V_eta); the
    conditional mean is mu, whatever eta is. Likewise eq. 20-22. ``exact_bound`` has the true ones.

    Args:
        eta: half the width of V_eta, in the unit of Delta.

    >>> bound = mode_bound(mu=0.5, sigma=0.5, eta=0.05, advantage=2.0)
    >>> abs(bound.l1 - bound.exact_bound) < 1e-9
    True
    """
    c = 1.0
    z = mu / sigma
    below = 0.5 * math.erfc(z / math.sqrt(2.0))
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    mean_below = mu - sigma * density / below
    l1, l2 = mu + c, mean_below + c + advantage
    width = 2.0 * mu * eta / (math.sqrt(2.0 * math.pi) * sigma)
    gain = advantage + mean_below * below  # eq. 20 integrates without dividing by P(Delta < 0)
    return ModeBound(l1, l2, l2 + width - gain, l2 + mu - advantage - mean_below, width < gain)


def sampled_bound(
    mu: float, sigma: float, eta: float, advantage: float, count: int, seed: int = 0
) -> tuple[float, float]:
    """Return (L1, L2) of `mode_bound` from ``count`` random pixels.

    >>> l1, l2 = sampled_bound(0.5, 0.5, 0.05, 2.0, 200_000)
    >>> l1 < l2
    True
    """
    generator = torch.Generator().manual_seed(seed)
    delta = mu + sigma * torch.randn(count, generator=generator, dtype=torch.float64)
    flow = torch.where(delta < 0, 1.0 + advantage, 1.0)
    depth = delta + flow
    near = (delta - mu).abs() < eta
    return float(depth[near].mean()), float(depth[delta < 0].mean())
