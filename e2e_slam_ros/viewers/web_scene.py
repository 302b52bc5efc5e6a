"""The scene in browsers, as calls of viser, which is imported when a scene is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from e2e_slam_ros.viewers.map_cells import Cell, CellChanges

Pose = npt.NDArray[np.float64]

# Widest picture that is sent, pixels; and its quality as JPEG.
_WIDEST_PX, _JPEG = 360, 75
# Nearer poses add nothing to the path, metres.
_PATH_STEP_M = 0.02
# Pieces of the path: lines in each, and the most that are kept. The oldest is forgotten first.
_PIECE, _PIECES = 200, 200
_PATH_COLOR = (224, 65, 122)
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_SMALL = "font-size:0.85em;margin:0.5em"
_STATE_COLORS = {"tracking": "#10a874", "relocalised": "#10a874", "lost": "#e0417a"}


class WebScene:
    """Map, path, camera and pictures on a viser server. Calls come from one thread.

    Args:
        host, port: where to listen.

    Raises:
        ImportError: viser is not installed.

    Example:
        >>> WebScene.__name__
        'WebScene'
    """

    def __init__(self, host: str, port: int) -> None:
        server = self._server = _local_server(host, port)
        server.gui.configure_theme(show_share_button=False, show_logo=False)
        # The first camera looks along x: one sees it from behind and above.
        server.initial_camera.position = (-2.0, 0.0, 1.4)
        server.initial_camera.look_at = (2.0, 0.0, -0.2)
        self._text = server.gui.add_html("waiting for images")
        self._images: dict[str, Any] = {}
        self._end = server.gui.add_html("")
        self._camera: Any = None
        self._shape = (0.0, 0.0)
        self._clouds: dict[Cell, Any] = {}
        self._pieces: deque[Any] = deque()
        self._lines: list[npt.NDArray[np.float32]] = []
        self._made = 0
        self._last: npt.NDArray[np.float32] | None = None

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.get_port())

    def show_state(self, lines: Mapping[str, str]) -> None:
        """Show lines of label and value."""
        rows = [
            f'<tr><td style="padding-right:1em;color:#8a94a3">{escape(label)}</td>'
            f'<td style="color:{_STATE_COLORS.get(text, "inherit")}">{escape(text)}</td></tr>'
            for label, text in lines.items()
        ]
        self._text.content = f'<table style="{_SMALL}">{"".join(rows)}</table>'

    def say(self, text: str) -> None:
        """Show a sentence."""
        self._end.content = f'<div style="{_SMALL}">{escape(text)}</div>'

    def show_image(self, image: npt.NDArray[np.uint8]) -> None:
        """Show a camera image, (H, W, 3) RGB."""
        self._show("image", image)

    def show_depth(self, depth: npt.NDArray[np.float32]) -> None:
        """Show depth (H, W) in metres as colours, near is red; 0 is black."""
        known = depth > 0.0
        picture = np.zeros((*depth.shape, 3), np.uint8)
        if known.any():
            near, far = np.percentile(depth[known], (2.0, 98.0))
            nearness = np.clip((far - depth) / max(float(far - near), 1e-3), 0.0, 1.0)
            bgr = cv2.applyColorMap((nearness * 255.0).astype(np.uint8), cv2.COLORMAP_TURBO)
            picture[known] = bgr[..., ::-1][known]
        self._show("depth of the last keyframe", picture)

    def move_camera(self, T_map_camera: Pose, fov_rad: float, aspect: float) -> None:
        """Draw the camera at a pose; its vertical view angle in radians, and width by height."""
        x, y, z, w = Rotation.from_matrix(T_map_camera[:3, :3]).as_quat()
        position = T_map_camera[:3, 3]
        if self._camera is None or self._shape != (fov_rad, aspect):
            self._shape = (fov_rad, aspect)
            self._camera = self._server.scene.add_camera_frustum(
                "/camera", fov_rad, aspect, scale=0.15, thickness=0.01, color=_PATH_COLOR
            )
        with self._server.atomic():
            self._camera.wxyz, self._camera.position = (w, x, y, z), position

    def lengthen_path(self, poses: Sequence[Pose | None]) -> None:
        """Draw lines from pose to pose; None interrupts the path."""
        drawn = len(self._lines)
        for pose in poses:
            point = None if pose is None else pose[:3, 3].astype(np.float32)
            if point is not None and self._last is not None:
                if np.linalg.norm(point - self._last) < _PATH_STEP_M:
                    continue
                self._lines.append(np.stack([self._last, point]))
            self._last = point
        if len(self._lines) == drawn:
            return
        piece = self._server.scene.add_line_segments(
            f"/path/{self._made}",
            np.stack(self._lines),
            _PATH_COLOR,
            thickness=2.0,
            thickness_units="screen",
        )
        if len(self._lines) >= _PIECE:
            self._lines, self._made = [], self._made + 1
            self._pieces.append(piece)
        if len(self._pieces) > _PIECES:
            self._pieces.popleft().remove()

    def show_cells(self, changes: CellChanges) -> None:
        """Show the cells of the map that have changed."""
        for cell in changes.gone:
            self._clouds.pop(cell).remove()
        for cell, item in changes.changed.items():
            self._clouds[cell] = self._server.scene.add_point_cloud(
                "/map/" + "_".join(str(number) for number in cell),
                item.points,
                item.colors,
                point_size=changes.spacing_m,
                point_shading="flat",
                position=item.origin,
            )
        # Cells that have not changed keep up with the spacing of the others.
        for cell in self._clouds.keys() - changes.changed.keys():
            if self._clouds[cell].point_size != changes.spacing_m:
                self._clouds[cell].point_size = changes.spacing_m

    def close(self) -> None:
        """End the server."""
        self._server.stop()

    def _show(self, label: str, image: npt.NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        if width > _WIDEST_PX:
            size = (_WIDEST_PX, max(1, round(height * _WIDEST_PX / width)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        if label in self._images:
            self._images[label].image = image
        else:
            self._images[label] = self._server.gui.add_image(
                image, label=label, format="jpeg", jpeg_quality=_JPEG
            )


def is_own_page(origin: str | None, asked: str | None, host: str) -> bool:
    """Return whether a browser's connection comes from the viewer's own page.

    A page of another site, open in the same browser, could else read the camera's images.

    Args:
        origin: the page that connects; None where it is no browser.
        asked: the address that it asked for.
        host: the address that the viewer listens at.

    >>> is_own_page("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1")
    True
    >>> is_own_page("https://elsewhere.example", "127.0.0.1:8080", "127.0.0.1")
    False
    >>> is_own_page("http://elsewhere.example", "elsewhere.example", "127.0.0.1")
    False
    """
    if origin is None:
        return True
    page = urlsplit(origin)
    local = host not in _THIS_MACHINE or page.hostname in _THIS_MACHINE
    return local and page.netloc == asked


def _local_server(host: str, port: int) -> Any:
    """Return a viser server that serves its own page alone, and that no browser can make public.

    A browser's message can have viser ask a service on the internet for a public address.
    """
    import viser

    class LocalServer(viser.ViserServer):
        def request_share_url(self, verbose: bool = True) -> str | None:
            return None

    server = LocalServer(host=host, port=port, label="e2e_slam_ros", verbose=False)
    websocket: Any = server._websock_server

    async def refuse_strangers(client: Any) -> None:
        connection = websocket._live_connections[client.client_id]
        headers = connection.request.headers
        if not is_own_page(headers.get("Origin"), headers.get("Host"), host):
            await connection.close(1008, "only the viewer's own page may connect")

    websocket.on_client_connect(refuse_strangers)
    return server
