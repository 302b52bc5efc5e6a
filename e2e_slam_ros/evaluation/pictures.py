"""Arrays as pictures that stand inside a page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

# Of a colour map; the 256th of a palette is transparent.
_COLORS = 255


def color_uri(
    values: npt.NDArray[np.floating[Any]],
    valid: npt.NDArray[np.bool_],
    low: float,
    high: float,
    colormap: str,
) -> str:
    """Return (H, W) values as a picture in colours, a ``data:`` address; invalid is transparent.

    ``colormap`` is a matplotlib name; values are clipped to [``low``, ``high``]. One byte a
    pixel (255 colours and transparent), so that a page of them stays small.
    """
    span = max(high - low, 1e-9)
    share = np.clip((np.nan_to_num(values) - low) / span, 0.0, 1.0)
    index = np.round(share * (_COLORS - 1)).astype(np.uint8)
    index[~valid] = _COLORS
    picture = Image.fromarray(index).convert("L")
    picture.putpalette([*_table(colormap).reshape(-1).tolist(), 0, 0, 0])
    return _uri(picture, "PNG", transparency=_COLORS)


def jpeg_uri(image: npt.NDArray[np.uint8]) -> str:
    """Return an (H, W, 3) photograph as a ``data:`` address, JPEG quality 88."""
    return _uri(Image.fromarray(np.ascontiguousarray(image)), "JPEG", quality=88)


def over_uri(image: npt.NDArray[np.uint8], background: tuple[int, int, int]) -> str:
    """Return an (H, W, 4) picture laid over a plain colour as a ``data:`` address, JPEG."""
    alpha = image[..., 3:].astype(np.float32) / 255.0
    flat = image[..., :3] * alpha + np.array(background, np.float32) * (1.0 - alpha)
    return jpeg_uri(np.round(flat).astype(np.uint8))


def bar_uri(colormap: str) -> str:
    """Return a 1 pixel high picture of a colour map, left low, right high."""
    return _uri(Image.fromarray(_table(colormap)[None]), "PNG")


def _uri(picture: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"


def _table(colormap: str) -> npt.NDArray[np.uint8]:
    """Return (255, 3) colours."""
    # Imported here: matplotlib takes a second that runs without a report need not spend.
    import matplotlib

    table = matplotlib.colormaps[colormap](np.linspace(0.0, 1.0, _COLORS))[:, :3]
    colors: npt.NDArray[np.uint8] = np.round(table * 255).astype(np.uint8)
    return colors
