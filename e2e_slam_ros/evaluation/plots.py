"""Line charts as inline SVG: no script, colours from the page's style sheet (light and dark)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 14.0, 12.0, 42.0
# Points after which a line is thinned: more cannot be told apart on a page.
_MOST_POINTS = 1500


@dataclass(frozen=True, eq=False)
class Series:
    """One line: ``x`` and ``y`` (N,), a legend text and a CSS class that colours it.

    ``start_dot`` marks its first point with a dot, ``filled`` shades the area below.
    """

    x: Array
    y: Array
    label: str
    style: str
    start_dot: bool = False
    filled: bool = False


def line_chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    equal: bool = False,
    from_zero: bool = False,
    width: int = 560,
    height: int = 320,
) -> str:
    """Return an ``<svg>`` element.

    Args:
        series: the lines, first at the bottom. Points that are not finite are left out.
        x_label, y_label: axis titles with units.
        equal: one metre is as long on both axes.
        from_zero: the y axis starts at 0.
        width, height: size of the drawing's own coordinates.
    """
    clean = [_finite(line) for line in series]
    clean = [line for line in clean if len(line.x)]
    if not clean:
        return '<p class="none">Nothing to plot.</p>'
    x_range = _padded(np.concatenate([line.x for line in clean]), 0.0 if not equal else 0.06)
    y_range = _padded(np.concatenate([line.y for line in clean]), 0.06)
    if from_zero:
        y_range = (0.0, y_range[1])
    if equal:
        x_range, y_range = _equalized(x_range, y_range, width, height)
    axes = _Axes(x_range, y_range, float(width), float(height))
    parts = [
        (
            f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{escape(y_label)} over {escape(x_label)}">'
        ),
        *axes.grid(x_label, y_label),
        *(axes.line(line) for line in clean),
        "</svg>",
        _legend(clean),
    ]
    return "\n".join(parts)


@dataclass(frozen=True)
class _Axes:
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    width: float
    height: float

    def x(self, value: float) -> float:
        low, high = self.x_range
        return _LEFT + (value - low) / (high - low) * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        bottom = self.height - _BOTTOM
        return bottom - (value - low) / (high - low) * (bottom - _TOP)

    def grid(self, x_label: str, y_label: str) -> list[str]:
        bottom, right = self.height - _BOTTOM, self.width - _RIGHT
        parts = []
        for tick in _ticks(*self.x_range):
            at = self.x(tick)
            parts.append(f'<path class="grid" d="M{at:.1f} {_TOP}V{bottom}"/>')
            parts.append(
                f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{_text(tick)}</text>'
            )
        for tick in _ticks(*self.y_range):
            at = self.y(tick)
            parts.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{right}"/>')
            parts.append(
                f'<text x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{_text(tick)}</text>'
            )
        middle = (_TOP + bottom) / 2
        parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
        parts.append(
            f'<text class="title" x="{(_LEFT + right) / 2:.1f}" y="{self.height - 6}" '
            f'text-anchor="middle">{escape(x_label)}</text>'
        )
        parts.append(
            f'<text class="title" transform="translate(13 {middle:.1f}) rotate(-90)" '
            f'text-anchor="middle">{escape(y_label)}</text>'
        )
        return parts

    def line(self, line: Series) -> str:
        step = max(1, len(line.x) // _MOST_POINTS)
        keep = np.unique(np.append(np.arange(0, len(line.x), step), len(line.x) - 1))
        points = [(self.x(float(line.x[i])), self.y(float(line.y[i]))) for i in keep]
        path = "M" + "L".join(f"{u:.1f} {v:.1f}" for u, v in points)
        drawn = f'<path class="line {line.style}" d="{path}"/>'
        if line.filled:
            bottom = self.height - _BOTTOM
            area = f"{path}V{bottom:.1f}H{points[0][0]:.1f}Z"
            drawn = f'<path class="area {line.style}" d="{area}"/>{drawn}'
        if line.start_dot:
            u, v = points[0]
            drawn += f'<circle class="dot" cx="{u:.1f}" cy="{v:.1f}" r="5"/>'
        return drawn


def _legend(series: Sequence[Series]) -> str:
    labelled = [line for line in series if line.label]
    if not labelled:
        return ""
    items = "".join(
        f'<span><i class="key {line.style}"></i>{escape(line.label)}</span>' for line in labelled
    )
    return f'<div class="legend">{items}</div>'


def _finite(line: Series) -> Series:
    good = np.isfinite(line.x) & np.isfinite(line.y)
    return Series(line.x[good], line.y[good], line.label, line.style, line.start_dot, line.filled)


def _padded(values: Array, share: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        room = max(abs(low) * 0.1, 0.05)
        return low - room, high + room
    room = share * (high - low)
    return low - room, high + room


def _equalized(
    x_range: tuple[float, float], y_range: tuple[float, float], width: float, height: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Widen one range so that a unit has one length."""
    across, down = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    unit = max((x_range[1] - x_range[0]) / across, (y_range[1] - y_range[0]) / down)
    middle_x, middle_y = sum(x_range) / 2, sum(y_range) / 2
    half_x, half_y = unit * across / 2, unit * down / 2
    return (middle_x - half_x, middle_x + half_x), (middle_y - half_y, middle_y + half_y)


def _ticks(low: float, high: float) -> list[float]:
    """Return 4 to 8 round values inside the range."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _text(value: float) -> str:
    for limit, suffix in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (limit if suffix == 'M' else 1e3):g}{suffix}"
    return f"{round(value, 6) + 0.0:g}"
