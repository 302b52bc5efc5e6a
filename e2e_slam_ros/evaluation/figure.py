"""Charts and pictures as PNG, SVG and ``data:`` addresses that stand inside a page.

matplotlib takes a second to import, so functions import it when they draw.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]

# Colours that can be told apart on a light and on a dark page.
BLUE, PINK, GREEN, GREY = "#3f7ff0", "#e0417a", "#10a874", "#8a94a3"

# Points of a line; more cannot be told apart on a page.
_MOST_POINTS = 1500
_DPI = 110
_FONT_POINTS = 9.0


@dataclass(frozen=True, eq=False)
class Series:
    """One line of a chart.

    Attributes:
        x, y: (N,); points that are not finite are left out.
        label: text of the legend; empty leaves the line out of it.
        color: any colour of matplotlib.
        width: of the line, points.
        start_dot: mark the first point.
        filled: shade the area below the line.
        dots: draw points of that size instead of a line.

    >>> Series(np.arange(3.0), np.ones(3), "error").label
    'error'
    """

    x: Array
    y: Array
    label: str = ""
    color: str = BLUE
    width: float = 1.8
    start_dot: bool = False
    filled: bool = False
    dots: bool = False


def line_chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    equal: bool = False,
    from_zero: bool = False,
    height: float = 3.2,
) -> str | None:
    """Return a chart as an SVG ``data:`` address; None when no line has a finite point.

    Args:
        series: the lines, the first at the bottom.
        equal: give both axes one scale.
        from_zero: start the y axis at 0.
        height: of the drawing, inches; it is 5.6 inches wide.
    """
    lines = [(line, np.isfinite(line.x) & np.isfinite(line.y)) for line in series]
    lines = [(line, finite) for line, finite in lines if finite.any()]
    if not lines:
        return None
    figure, axes = _axes(5.6, height)
    for line, finite in lines:
        x, y = line.x[finite], line.y[finite]
        keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int))
        marker = "o" if len(x) == 1 else ""
        style: dict[str, Any] = {
            "color": line.color,
            "lw": line.width,
            "label": line.label,
            "marker": marker,
        }
        if line.dots:
            style |= {"lw": 0.0, "marker": ".", "markersize": line.width, "zorder": 0}
        axes.plot(x[keep], y[keep], **style)
        if line.filled:
            axes.fill_between(x[keep], y[keep], color=line.color, alpha=0.13, lw=0)
        if line.start_dot:
            axes.plot(x[:1], y[:1], "o", color=GREEN, markersize=8, zorder=5)
    axes.set(xlabel=x_label, ylabel=y_label)
    if equal:
        axes.set_aspect("equal", adjustable="datalim")
    if from_zero:
        axes.set_ylim(bottom=0.0)
    if any(line.label for line, _ in lines):
        axes.legend(frameon=False, labelcolor=GREY, fontsize=_FONT_POINTS)
    return _svg_uri(figure)


def strip_chart(
    rows: Sequence[tuple[str, str, Sequence[tuple[float, float]]]], x_label: str
) -> str | None:
    """Return one row of bars a label as an SVG ``data:`` address; None without a bar.

    Args:
        rows: label, colour, and (start, length) of each bar.
        x_label: of the axis that the bars lie along.
    """
    if not any(bars for _, _, bars in rows):
        return None
    figure, axes = _axes(5.6, 0.7 + 0.35 * len(rows))
    for place, (_, color, bars) in enumerate(rows):
        axes.broken_barh(bars, (place - 0.35, 0.7), facecolors=color)
    axes.set_yticks(range(len(rows)), [label for label, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel(x_label)
    return _svg_uri(figure)


def bar_chart(labels: Sequence[str], values: Sequence[tuple[float, float]], x_label: str) -> str:
    """Return horizontal bars, a solid one over a light one a label, as an SVG ``data:`` address.

    ``values`` holds the ends of the solid and of the light bar.
    """
    figure, axes = _axes(5.6, 0.6 + 0.3 * len(labels))
    axes.barh(labels, [light for _, light in values], color=BLUE, alpha=0.35, height=0.6)
    axes.barh(labels, [solid for solid, _ in values], color=BLUE, height=0.6)
    axes.invert_yaxis()
    axes.set_xlabel(x_label)
    return _svg_uri(figure)


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a grid.

    Attributes:
        values: (H, W, 3) colours in [0, 1], or (H, W) metres or relative errors; NaN is white.
        kind: of ``values``.
        caption: text below it.

    >>> Panel(np.full((48, 64), 2.0), "depth", "frame 7").kind
    'depth'
    """

    values: npt.NDArray[np.floating[Any]]
    kind: Literal["image", "depth", "error"]
    caption: str = ""


def panel_grid(
    titles: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Panel]]],
    depth_m: tuple[float, float],
    error_high: float = 0.5,
    error_unit: str = "",
    panel_width: float = 2.7,
) -> Figure:
    """Return labelled rows of panels under column titles.

    Args:
        rows: label and panels of each; a column holds one kind.
        depth_m: the depths at the ends of the range of colours, metres.
        error_high: the error at the end of its range of colours, which begins at 0.
        error_unit: unit of the errors; empty where they are relative.
        panel_width: inches.
    """
    from matplotlib.figure import Figure

    height, width = rows[0][1][0].values.shape[:2]
    row_height = panel_width * height / width + 0.3
    size = (panel_width * len(titles), row_height * len(rows) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    ratios = [row_height] * len(rows) + [0.12]
    axes = figure.subplots(len(rows) + 1, len(titles), squeeze=False, height_ratios=ratios)
    ranges: dict[str, dict[str, Any]] = {
        "image": {},
        "depth": {"cmap": "turbo", "vmin": depth_m[0], "vmax": depth_m[1]},
        "error": {"cmap": "magma", "vmin": 0.0, "vmax": error_high},
    }
    bars = {"depth": {"label": "metres"}, "error": {"label": error_unit, "extend": "max"}}
    for column, title in enumerate(titles):
        axes[0, column].set_title(title)
        for axis, (label, panels) in zip(axes[:, column], rows, strict=False):
            panel = panels[column]
            drawn = axis.imshow(panel.values, **ranges[panel.kind])
            axis.set(xticks=[], yticks=[], xlabel=panel.caption)
            axis.set_ylabel("" if column else label)
        if panel.kind == "image":
            axes[-1, column].axis("off")
        else:
            more: dict[str, Any] = bars[panel.kind]
            figure.colorbar(drawn, cax=axes[-1, column], orientation="horizontal", **more)
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    return _file(figure, format="png", dpi=_DPI)


def jpeg_uri(figure: Figure) -> str:
    """Return a figure with photographs as a JPEG ``data:`` address; PNG is five times as large."""
    file = _file(figure, format="jpeg", dpi=_DPI, pil_kwargs={"quality": 88})
    return _data_uri("image/jpeg", file)


def png_uri(file: bytes) -> str:
    """Return a PNG file as a ``data:`` address."""
    return _data_uri("image/png", file)


def over_uri(image: npt.NDArray[np.uint8], background: tuple[int, int, int]) -> str:
    """Return an (H, W, 4) picture over a plain colour as a ``data:`` address, JPEG quality 88."""
    picture = Image.fromarray(image)
    flat = Image.new("RGB", picture.size, background)
    flat.paste(picture, mask=picture)
    buffer = io.BytesIO()
    flat.save(buffer, "JPEG", quality=88)
    return _data_uri("image/jpeg", buffer.getvalue())


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a transparent figure and its grey axes, for light and dark pages."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "axes.edgecolor": GREY,
        "axes.labelcolor": GREY,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": GREY,
        "grid.alpha": 0.25,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "font.size": _FONT_POINTS,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
        return figure, figure.subplots()


def _svg_uri(figure: Figure) -> str:
    import matplotlib

    # Equal figures give equal files: no date, no random identifiers.
    with matplotlib.rc_context({"svg.hashsalt": "e2e_slam_ros"}):
        return _data_uri("image/svg+xml", _file(figure, format="svg", metadata={"Date": None}))


def _file(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
