"""Random batches of clips; the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch

from e2e_slam_ros.training.data.batch import stacked
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.photometric_augment import change_colors
from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch


class ClipSource(Protocol):
    """A finite, random-access set of clips."""

    @property
    def frames(self) -> int:
        """Frames of each clip."""
        ...

    def __len__(self) -> int: ...

    def clip(self, index: int, frames: Sequence[int]) -> ClipBatch:
        """Return the chosen frames of a clip as a batch of one, the first of them the keyframe."""
        ...


class ClipSampler:
    """Draws clips, keyframes and neighbours, mirrors them and changes their colours.

    A batch depends on seed, step, rank and the number of processes alone.

    Args:
        sources: sets of clips and their shares of the samples, above 0.
        views: least and most frames of a clip; all clips of a batch have equally many.
        neighbours: the frames beside the keyframe are drawn from this many on each side.
        world: number of processes; each has batches of its own.

    >>> from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig
    >>> from e2e_slam_ros.training.deepv2d.clip_set import ClipSet
    >>> ClipSampler([(ClipSet(ClipConfig()), 1.0)], 0, 2, (2, 5), AugmentConfig()).views
    (2, 5)
    """

    def __init__(
        self,
        sources: Sequence[tuple[ClipSource, float]],
        seed: int,
        batch_size: int,
        views: tuple[int, int],
        augment: AugmentConfig,
        neighbours: int = 16,
        world: int = 1,
    ) -> None:
        self._sources = [source for source, _ in sources]
        self._shares = torch.tensor([share for _, share in sources], dtype=torch.float64)
        self.views = (views[0], min([views[1], *(source.frames for source in self._sources)]))
        self._seed, self._batch_size = seed, batch_size
        self._augment, self._neighbours, self._world = augment, neighbours, world

    def batch(self, step: int, rank: int = 0) -> ClipBatch:
        """Return the batch of a step (from 0) for one of the processes, on the CPU."""
        generator = torch.Generator()
        generator.manual_seed((self._seed * 1_000_003 + step) * self._world + rank)
        low, high = self.views
        count = int(torch.randint(low, high + 1, (), generator=generator))
        return stacked([self._sample(count, generator) for _ in range(self._batch_size)])

    def _sample(self, count: int, generator: torch.Generator) -> ClipBatch:
        which = 0
        if len(self._sources) > 1:
            which = int(torch.multinomial(self._shares, 1, generator=generator))
        source = self._sources[which]
        frames = source.frames
        index = int(torch.randint(len(source), (), generator=generator))
        key = int(torch.randint(frames, (), generator=generator))
        order = torch.randperm(frames, generator=generator).tolist()
        near = [f for f in order if f != key and abs(f - key) <= self._neighbours]
        clip = source.clip(index, [key, *near[: count - 1]])
        if float(torch.rand((), generator=generator)) < self._augment.mirror:
            clip = mirrored(clip)
        image = change_colors(clip.image[0], self._augment, generator)[None]
        noise = torch.randn(clip.noise.shape, generator=generator)
        return replace(clip, image=image, noise=noise)


def mirrored(clip: ClipBatch) -> ClipBatch:
    """Return the clip as a mirror shows it; exact for depth, poses and intrinsics."""
    k = clip.intrinsics.clone()
    k[:, 0, 2] = clip.image.shape[-1] - 1 - k[:, 0, 2]
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    pose = flip @ clip.T_camera_map @ flip
    image, depth, moving = (x.flip(-1) for x in (clip.image, clip.depth, clip.moving))
    return ClipBatch(image, depth, k, pose, moving, clip.noise)
