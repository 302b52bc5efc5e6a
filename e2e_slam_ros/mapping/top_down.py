"""A picture of the map from above, to scale, like a floor plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.data.atomic import open_atomic
from e2e_slam_ros.geometry.splat import splat_squares
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

# Says in the file who wrote it.
_SOFTWARE = "e2e_slam_ros"
# More surfels than this add nothing to a picture of this size.
_MOST_SURFELS = 2_000_000
# A surfel is painted as a square of about this side, so that floors look closed.
_SURFEL_M = 0.02
# Per cent of the surfels on each side that have no influence on the extent of the picture.
_STRAY = 0.5
_MARGIN_PX = 16
_FOOTER_PX = 40
_NARROWEST_PX = 240
_BACKGROUND = 255
_INK = (40, 40, 40)


def top_down_picture(
    cloud: SurfelCloud,
    longest_px: int = 1600,
    up: tuple[float, float, float] = (0.0, 0.0, 1.0),
    cut: float = 0.2,
) -> Picture:
    """Return (H, W, 3) uint8 RGB: the map seen from above by parallel rays, with a scale bar.

    Ceilings are removed so that one sees into the rooms: surfels that face down, and those in
    the top part of the map's height. With ``up`` = z, x points right and y up in the picture.

    Args:
        cloud: the map.
        longest_px: length of the picture's longer side without its frame, pixels.
        up: direction against gravity in the map frame, of any length.
        cut: part of the map's height that is removed from above, 0 to 1.

    Raises:
        MapError: no surfels, or arguments out of range.
    """
    axes = _axes(up)
    _check(cloud, longest_px, cut)
    pick = slice(None, None, max(1, -(-len(cloud) // _MOST_SURFELS)))
    positions, normals = cloud.positions[pick], cloud.normals[pick]
    finite = np.isfinite(positions).all(axis=1) & np.isfinite(normals).all(axis=1)
    points = positions[finite].astype(np.float64) @ axes.T
    upward = normals[finite].astype(np.float64) @ axes[2]
    colors = cloud.colors[pick][finite]
    seen = _below_ceiling(points[:, 2], upward, cut)
    points, upward, colors = points[seen], upward[seen], colors[seen]
    low, high = np.percentile(points[:, :2], (_STRAY, 100.0 - _STRAY), axis=0)
    scale = longest_px / max(float((high - low).max()), 1e-3)
    # Walls, which are seen edge on, stand out from floors of the same colour.
    shade = 0.7 + 0.3 * np.abs(upward)
    canvas = _splat(points, (colors * shade[:, None]).astype(np.uint8), low, high, scale)
    return _with_scale_bar(canvas, scale)


def write_png(path: str | Path, picture: Picture) -> Path:
    """Write (H, W, 3) uint8 and return the absolute path; whole or not at all.

    Raises:
        MapError: the folder is missing or read-only, or the disk is full.
    """
    target = Path(path).expanduser().absolute()
    with open_atomic(target, MapError) as file:
        Image.fromarray(picture).save(file, format="PNG", pnginfo=_mark())
    return target


def is_own_png(head: bytes) -> bool:
    """Return whether a file that begins so was written by `write_png`."""
    return _SOFTWARE.encode() in head


def _mark() -> PngInfo:
    mark = PngInfo()
    mark.add_text("Software", _SOFTWARE)
    return mark


def _check(cloud: SurfelCloud, longest_px: int, cut: float) -> None:
    if not 16 <= longest_px <= 16384:
        raise MapError.from_parts(
            "longest_px of a picture", longest_px, "16 to 16384 pixels", "choose one of these"
        )
    if not 0.0 <= cut < 1.0:
        raise MapError.from_parts(
            "cut of a picture", cut, "a part from 0 to below 1", "0.2 leaves ceilings out"
        )
    if len(cloud) == 0 or not np.isfinite(cloud.positions).all(axis=1).any():
        raise MapError.from_parts(
            "map", "no surfels", "at least one mapped keyframe", "wait for it, then save"
        )


def _axes(up: tuple[float, float, float]) -> Array:
    """Return (3, 3): right, ahead (to the top of the picture) and up, in the map frame."""
    vector = np.asarray(up, dtype=np.float64)
    length = float(np.linalg.norm(vector)) if vector.shape == (3,) else 0.0
    if not (np.isfinite(length) and length > 1e-9):
        raise MapError.from_parts(
            "up of a picture", up, "three finite numbers, not all 0", "for z up give 0, 0, 1"
        )
    upward = vector / length
    right = np.eye(3)[1 if abs(upward[0]) > 0.9 else 0]
    right = right - (right @ upward) * upward
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(upward, right), upward])


def _below_ceiling(height: Array, upward: Array, cut: float) -> npt.NDArray[np.bool_]:
    """Return (N,) bool: the surfels below the ceiling; all of them where none would be left."""
    low, high = np.percentile(height, (_STRAY, 100.0 - _STRAY))
    # Noise tilts the normals of walls, seen edge on, a little: they must stay.
    seen = (upward > -0.3) & (height <= high - cut * (high - low))
    return seen if seen.any() else np.ones_like(seen)


def _splat(points: Array, colors: Picture, low: Array, high: Array, scale: float) -> Picture:
    """Paint (N, 3) points right, ahead, up as squares; the highest one shows."""
    side = int(np.clip(np.ceil(_SURFEL_M * scale), 1, 5))
    width, height = (np.ceil((high - low) * scale).astype(int) + 2 * _MARGIN_PX).tolist()
    column = np.rint((points[:, 0] - low[0]) * scale).astype(np.int64) + _MARGIN_PX - side // 2
    row = np.rint((high[1] - points[:, 1]) * scale).astype(np.int64) + _MARGIN_PX - side // 2
    u, v, depth = (torch.from_numpy(values) for values in (column, row, -points[:, 2]))
    shown = splat_squares(u, v, depth, width, height, side).numpy()
    canvas = np.full((height, width, 3), _BACKGROUND, dtype=np.uint8)
    canvas[shown >= 0] = colors[shown[shown >= 0]]
    return canvas


def _with_scale_bar(canvas: Picture, scale: float) -> Picture:
    """Add a strip below with a bar of 1, 2 or 5 times a power of ten metres."""
    height, width = canvas.shape[:2]
    # A narrow picture gets room for a bar that can be read.
    page_width = max(width, _NARROWEST_PX)
    most_m = 0.4 * (page_width - 2 * _MARGIN_PX) / scale
    power = 10.0 ** np.floor(np.log10(most_m))
    bar_m = float(max(step * power for step in (1, 2, 5) if step * power <= most_m))
    page = Image.new("RGB", (page_width, height + _FOOTER_PX), (_BACKGROUND,) * 3)
    page.paste(Image.fromarray(canvas), (0, 0))
    draw = ImageDraw.Draw(page)
    left, top = _MARGIN_PX, height + _FOOTER_PX // 2
    right = left + round(bar_m * scale)
    draw.rectangle((left, top - 2, right, top + 2), fill=_INK)
    for x in (left, right):
        draw.line((x, top - 7, x, top + 7), fill=_INK, width=2)
    page.paste(_label(f"{bar_m:g} m"), (right + 10, top - 11))
    picture: Picture = np.array(page)
    return picture


def _label(text: str) -> Image.Image:
    """Return the text 22 pixels high: Pillow before 10.1 has its own font in one size only."""
    label = Image.new("RGB", (8 * len(text), 11), (_BACKGROUND,) * 3)
    ImageDraw.Draw(label).text((0, 0), text, fill=_INK, font=ImageFont.load_default())
    return label.resize((2 * label.width, 2 * label.height))
