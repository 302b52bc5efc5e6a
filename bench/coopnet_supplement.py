"""Pictures of what CoopNet's supplement states, drawn from numbers.

    python bench/coopnet_supplement.py --out docs/images

Writes coopnet_divergence.png (section 1) and coopnet_mode.png (section 2).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

from e2e_slam_ros.training.coopnet.supplement import closed_loop, drift, mode_bound

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

_SIGMA, _ETA = 0.5, 0.05


def draw_divergence(path: Path) -> None:
    """Draw Delta of eq. 7 over iterations, and the closed loop of both selections."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), constrained_layout=True)
    steps = 20_000
    index = np.arange(1, steps + 1)
    for p, color in ((0.1, "C0"), (0.3, "C1"), (0.5, "C2")):
        runs = drift(steps, 100, p, rate=0.5).numpy()
        low, high = np.percentile(runs, [5, 95], axis=0)
        left.fill_between(index, low, high, alpha=0.25, color=color, linewidth=0)
        left.plot(index, runs.mean(0), color=color, label=f"p = {p}")
        left.plot(index, (1 - 2 * p) * (np.log(index) + 0.577), "k:", linewidth=1)
    left.plot(index, drift(steps, 1, 0.1, 0.5, bias=0.0)[0], "k--", label="no bias")
    left.set(xscale="log", xlabel="iteration n", ylabel="Δn - Δ0", title="Section 1, example")
    left.legend(fontsize=8)
    for lead in (0.1, 0.3, 0.6):
        for kind, style in (("min", "-"), ("mode", "--")):
            values = closed_loop(kind, 600, lead)
            label = f"{kind}-selection" if lead == 0.3 else None
            right.plot(values, style, color={"min": "C3", "mode": "C0"}[kind], label=label)
    right.set(xlabel="iteration", ylabel="mean of Δ", title="The loop closed")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def draw_mode(path: Path) -> None:
    """Draw L1 - L2 over the mean of Delta: as it is, and where eq. 25 promises it is below 0."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.9), sharey=True, constrained_layout=True)
    mus = np.linspace(0.02, 1.5, 120)
    for axis, advantage in zip(axes, (0.5, 1.0, 2.0), strict=True):
        bounds = [mode_bound(float(mu), _SIGMA, _ETA, advantage) for mu in mus]
        gap = np.array([bound.l1 - bound.l2 for bound in bounds])
        printed = np.array([bound.printed_bound - bound.l2 for bound in bounds])
        promised = np.array([bound.promised for bound in bounds])
        axis.axhline(0.0, color="0.6", linewidth=0.8)
        axis.plot(mus, gap, label="L1 - L2")
        axis.plot(mus, printed, ":", label="bound of eq. 24")
        wrong = promised & (gap > 0)
        axis.fill_between(mus, 0, gap, where=wrong, alpha=0.3, color="C3", label="promised, false")
        axis.set(xlabel="mean of Δ", title=f"r = {advantage}")
    axes[0].set_ylabel("photometric error")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    draw_divergence(out / "coopnet_divergence.png")
    draw_mode(out / "coopnet_mode.png")


if __name__ == "__main__":
    main()
