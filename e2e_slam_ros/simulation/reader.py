"""A procedural room as a recorded sequence. Each frame is rendered when it is read."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

import torch

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame, ReaderReport
from e2e_slam_ros.data.sequence import SequenceReader
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.effects import SensorEffects
from e2e_slam_ros.simulation.generate import generate_scene
from e2e_slam_ros.simulation.renderer import RenderedViews, Renderer
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.trajectory import MotionStyle, smooth_trajectory

# The recording starts later than time 0, because ROS reads 0 as "no time".
_START_NS = 1_000_000_000_000
_CACHED_FRAMES = 8


def random_camera(seed: int, width: int, height: int) -> PinholeCamera:
    """Return a random camera of 50 to 75 degrees horizontal field of view.

    The principal point lies a little off the image centre.
    """
    dice = Dice(seed, stream=5)
    focal = 0.5 * width / math.tan(math.radians(dice.uniform(50.0, 75.0)) / 2)
    return PinholeCamera(
        width,
        height,
        fx=focal,
        fy=focal * dice.uniform(0.98, 1.02),
        cx=(width - 1) / 2 + dice.uniform(-0.03, 0.03) * width,
        cy=(height - 1) / 2 + dice.uniform(-0.03, 0.03) * height,
    )


class ProceduralReader(SequenceReader):
    """A `FrameReader` of a random room. The same arguments give the same frames.

    Args:
        width, height: image size in pixels.
        camera: intrinsics for that image size. None: 64 degrees horizontal field of view.
        effects: lens and noise. None: mild effects. `SensorEffects(0, 0, 0, 0)`: no effects.
        texture_size: edge of a texture in texels, a power of two.
        walk: scene and path, (frames, 4, 4) T_map_camera, in place of the random ones.

    Raises:
        DataError: an impossible size or rate, or a camera of another size.

    >>> reader = ProceduralReader(seed=0, frames=2, width=32, height=24, texture_size=64)
    >>> frame = reader[0]
    >>> len(reader), frame.image.shape, bool((frame.depth > 0).all())
    (2, (24, 32, 3), True)
    """

    def __init__(
        self,
        seed: int = 0,
        frames: int = 60,
        width: int = 640,
        height: int = 480,
        device: torch.device | str = "cpu",
        rate_hz: float = 30.0,
        *,
        camera: PinholeCamera | None = None,
        effects: SensorEffects | None = None,
        style: MotionStyle | None = None,
        texture_size: int = 512,
        walk: tuple[Scene, torch.Tensor] | None = None,
    ) -> None:
        if frames < 1 or width < 8 or height < 8 or not rate_hz > 0:
            raise DataError.from_parts(
                "procedural sequence",
                f"{frames} frames of {width}x{height} at {rate_hz} Hz",
                "at least 1 frame of 8x8 pixels at a positive rate",
                "correct the arguments",
            )
        focal = 0.8 * width
        self.camera = camera or PinholeCamera(
            width, height, focal, focal, (width - 1) / 2, (height - 1) / 2
        )
        if (self.camera.width, self.camera.height) != (width, height) or self.camera.is_distorted:
            raise DataError.from_parts(
                "procedural sequence", self.camera, f"an undistorted {width}x{height} camera",
                "use camera.resized(...) and camera.undistorted()",
            )  # fmt: skip
        super().__init__(f"procedural_{seed}", ReaderReport(listed=frames))
        self.scene: Scene = walk[0] if walk else generate_scene(seed, device, texture_size)
        self.T_map_camera = (
            walk[1] if walk else smooth_trajectory(self.scene, frames, rate_hz, seed, style)
        )
        self._effects = effects if effects is not None else SensorEffects(seed=seed)
        self._rate_hz = rate_hz
        self._renderer = Renderer([self.scene])
        # One frame fits into a CPU's cache. A GPU needs more work per call.
        self._batch = 1 if self.scene.device.type == "cpu" else 8
        self._cache: OrderedDict[int, Frame] = OrderedDict()
        self._render_lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.T_map_camera)

    def _read(self, index: int) -> Frame:
        with self._render_lock:
            if index not in self._cache:
                self._render_around(index)
            self._cache.move_to_end(index)
            return self._cache[index]

    def _render_around(self, index: int) -> None:
        first = index - index % self._batch
        poses = self.T_map_camera[first : first + self._batch]
        k = self.camera.matrix(self.scene.device).expand(len(poses), 3, 3)
        views = self._renderer(poses, k, self.camera.height, self.camera.width)
        for offset in range(len(poses)):
            self._cache[first + offset] = self._frame(first + offset, views, offset)
        while len(self._cache) > max(_CACHED_FRAMES, self._batch):
            self._cache.popitem(last=False)

    def _frame(self, index: int, views: RenderedViews, offset: int) -> Frame:
        image = self._effects.apply(views.image[offset], index, index / self._rate_hz)
        pixels = image.mul(255.0).round().to(torch.uint8).permute(1, 2, 0).contiguous()
        return Frame(
            index=index,
            stamp_ns=_START_NS + round(index * 1e9 / self._rate_hz),
            image=pixels.cpu().numpy(),
            camera=self.camera,
            depth=views.depth[offset, 0].cpu().numpy(),
            T_map_camera=self.T_map_camera[index].numpy().copy(),
        )
