"""Renders views of scenes in batches: image, depth and normals, on the scenes' device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.simulation.atlas import Atlas, build_atlas, sample
from e2e_slam_ros.simulation.raycast import Hits, ViewTable, cast, view_table
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.shading import camera_response, radiance
from e2e_slam_ros.simulation.surface import SurfaceTable, look_up, surface_table

# Pixels shaded per step. Few enough to keep temporaries in a CPU's cache, enough to fill a GPU.
_CPU_PIXELS, _GPU_PIXELS = 1 << 16, 1 << 21


@dataclass(frozen=True, eq=False)
class RenderedViews:
    """Images, depths and normals of a batch of views.

    Attributes:
        image: (B, 3, H, W) float32 in [0, 1], RGB.
        depth: (B, 1, H, W) float32, z in metres. It is exact and valid everywhere, because rooms
            are closed.
        normals: (B, 3, H, W) float32, unit length, camera frame, towards the camera.

    >>> picture = torch.zeros(1, 3, 2, 2)
    >>> RenderedViews(picture, torch.ones(1, 1, 2, 2), picture).depth.shape
    torch.Size([1, 1, 2, 2])
    """

    image: torch.Tensor
    depth: torch.Tensor
    normals: torch.Tensor


class Renderer:
    """Renders views of given scenes. It keeps the tensors that do not depend on the camera.

    Args:
        scenes: rooms on one device with textures of one size.

    >>> from e2e_slam_ros.simulation.builder import Material, SceneBuilder
    >>> from e2e_slam_ros.simulation.scene import Lamps
    >>> build = SceneBuilder()
    >>> build.hull((4.0, 4.0, 4.0), (Material(texture=0),) * 6)
    >>> lamps = Lamps(torch.tensor([[0.0, 0.0, 3.0]]), torch.ones(1, 3), torch.ones(2, 3))
    >>> renderer = Renderer([build.build(torch.ones(1, 8, 8, 3), lamps)])
    >>> T_map_camera = torch.eye(4)
    >>> T_map_camera[2, 3] = 1.0  # 1 m above the floor, the camera looks at the ceiling
    >>> k = torch.tensor([[16.0, 0.0, 7.5], [0.0, 16.0, 7.5], [0.0, 0.0, 1.0]])
    >>> renderer(T_map_camera[None], k, 16, 16).image.shape
    torch.Size([1, 3, 16, 16])
    """

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self.scenes = list(scenes)
        if not self.scenes:
            raise DataError.from_parts(
                "render", "no scenes", "at least one", "generate a scene first"
            )
        self._surfaces: SurfaceTable = surface_table(self.scenes)
        self._atlas: Atlas = build_atlas([scene.textures for scene in self.scenes])
        layers = [int(scene.textures.shape[0]) for scene in self.scenes]
        self._first_layer = [sum(layers[:index]) for index in range(len(layers))]

    # no_grad instead of inference_mode, because networks cannot train on inference tensors.
    @torch.no_grad()
    def __call__(
        self, T_map_camera: torch.Tensor, intrinsics: torch.Tensor, height: int, width: int
    ) -> RenderedViews:
        """Return B views; see `render`."""
        views = T_map_camera.shape[0]
        if views == 0 or views % len(self.scenes):
            raise DataError.from_parts(
                "T_map_camera",
                f"{views} poses",
                f"a positive multiple of {len(self.scenes)} scenes",
                "give every scene the same number of views",
            )
        device = self.scenes[0].device
        pose = T_map_camera.to(device)
        k = intrinsics.to(device=device, dtype=torch.float32).expand(views, 3, 3)
        table = view_table(self.scenes, pose)
        hits = cast(table, k, height, width)
        image, normals = torch.empty(2, views, 3, height, width, device=device).unbind()
        limit = _CPU_PIXELS if device.type == "cpu" else _GPU_PIXELS
        group, each = max(1, limit // (height * width)), views // len(self.scenes)
        band = max(1, min(height, limit // width))
        for index in range(len(self.scenes)):
            end = (index + 1) * each
            for first in range(index * each, end, group):
                some = slice(first, min(first + group, end))
                for top in range(0, height, band):
                    rows = slice(top, min(top + band, height))
                    shaded = self._shade(index, some, rows, table, hits, pose[some], k[some])
                    image[some, :, rows], normals[some, :, rows] = shaded
        return RenderedViews(image, hits.depth.unsqueeze(1), normals)

    def _shade(
        self,
        scene_index: int,
        views: slice,
        rows: slice,
        table: ViewTable,
        hits: Hits,
        pose: torch.Tensor,
        k: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image and normals (n, 3, h, W) of n views of one scene, for a band of h rows.

        Args:
            views, rows: the part of ``hits`` to shade.
            table, hits: table and hits of all views.
            pose, k: (n, 4, 4) and (n, 3, 3), pose and intrinsics of these views.
        """
        scene = self.scenes[scene_index]
        count, height, width = hits.depth[views, rows].shape
        depth, row = hits.depth[views, rows].reshape(-1), hits.row[views, rows].reshape(-1)
        # The band is treated as an image of its own. Its principal point has a smaller v.
        k = k.clone()
        k[:, 1, 2] -= rows.start
        rays = pixel_rays(height, width, k).flatten(2)
        turn = pose[:, :3, :3].to(torch.float32)
        shift = pose[:, :3, 3].to(torch.float32).t().unsqueeze(-1)
        direction = rays[:, :2].transpose(0, 1).reshape(2, -1)
        ray = _turned(turn, rays)
        point = (ray * depth.reshape(count, -1) + shift).reshape(3, -1)
        triangle = None
        if hits.triangle is not None:
            triangle = hits.triangle[views, rows].reshape(-1)
        hit = look_up(self._surfaces, table, row, direction, depth, point, triangle)
        eye = ray.reshape(3, -1) * -(1.0 + direction.square().sum(0)).rsqrt()
        facing = (eye * hit.normal).sum(0)
        if triangle is not None:
            # Triangles have two sides.
            behind = (facing < 0) & (triangle >= 0)
            hit.normal.copy_(torch.where(behind, -hit.normal, hit.normal))
            facing = torch.where(behind, -facing, facing)
        cosine = facing.clamp_min(0.05)
        # On a slanted surface the footprint lies between the pixel's long and short side.
        texels = (self._atlas.size / k[:, 0, 0])[:, None].expand(count, height * width)
        apart = depth * hit.repeats_per_m * texels.reshape(-1) * cosine.rsqrt()
        layer = hit.layer + self._first_layer[scene_index]
        color = sample(self._atlas, layer, hit.u, hit.v, apart)
        light = radiance(scene, hit, hit.tint * color.t(), eye)
        image = camera_response(light, scene.exposure).reshape(3, count, height, width)
        normals = _turned(turn.mT, hit.normal.reshape(3, count, -1).transpose(0, 1))
        return image.transpose(0, 1), normals.reshape(3, count, height, width).transpose(0, 1)


def render(
    scenes: Sequence[Scene],
    T_map_camera: torch.Tensor,
    intrinsics: torch.Tensor,
    height: int,
    width: int,
) -> RenderedViews:
    """Return views of scenes, all in one batch.

    Args:
        scenes: S rooms on one device; view b shows scene ``b // (B / S)``.
        T_map_camera: (B, 4, 4), camera optical frame (z forward, y down) to the scene's map.
        intrinsics: (B, 3, 3) or (3, 3), pinhole without skew.
        height, width: image size in pixels.

    Raises:
        DataError: no scenes, or B is not a multiple of S.
    """
    return Renderer(scenes)(T_map_camera, intrinsics, height, width)


def _turned(rotation: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return rotated vectors (3, n, N) of ``rotation`` (n, 3, 3) and ``vectors`` (n, 3, N).

    This function avoids matrix products. During training they run in TF32 or bfloat16 on a GPU,
    which would move points by millimetres.
    """
    x, y, z = vectors.unbind(1)
    rows = rotation.unsqueeze(-1).unbind(1)
    return torch.stack([row[:, 0] * x + row[:, 1] * y + row[:, 2] * z for row in rows])
