"""Views decoded once and kept in a device's memory, where batches are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.geometry.se3 import inverse
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.data.views import ViewPair, ViewSet

# Pairs read at a time: few enough for the memory of the computer, enough for its threads.
_CHUNK, _THREADS = 256, 8
# Share of a GPU's free memory that views may take: networks need the rest.
_MOST_MEMORY = 0.7


@dataclass(frozen=True, eq=False)
class _Columns:
    """N pairs of views, each (N, V, ...): V is 2, or 1 where no pair has a second view.

    ``swappable`` (N,): both views are equally well known, so either may be the target.
    """

    image: torch.Tensor
    depth: torch.Tensor
    seen: torch.Tensor
    intrinsics: torch.Tensor
    T_source_target: torch.Tensor
    has: torch.Tensor  # (N, 3): source, pose, depth
    swappable: torch.Tensor


class ResidentViews:
    """A `ViewSet` whose views are read once. `batch` gathers them on the device.

    Decoding files and changing images one by one feeds a CPU, but not a GPU. Depths are kept as
    float16 metres, accurate to half a per mille.

    Args:
        views: the set, of images of one size.
        device: where views are kept.
        draws: how many times each view is asked for: sets that choose partners at random give
            another one each time.

    Raises:
        TrainingError: no views, images of several sizes, a GPU without the memory for them.
        DataError: a view cannot be read.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> from e2e_slam_ros.training.data.config import RecordedConfig
    >>> from e2e_slam_ros.training.data.recorded_views import RecordedViews
    >>> reader = ProceduralReader(0, 2, 64, 48, texture_size=64)
    >>> views = ResidentViews(RecordedViews(reader, RecordedConfig(width=64, pairs=False)), "cpu")
    >>> views.batch(torch.tensor([1, 0, 1]), torch.Generator()).image.shape
    torch.Size([3, 3, 48, 64])
    """

    def __init__(self, views: ViewSet, device: torch.device | str, draws: int = 1) -> None:
        self._views, self._draws = views, draws
        self.device = torch.device(device)
        if len(self) == 0:
            raise TrainingError.from_parts(
                f"views of {views.name}", "none", "at least one", "name another set"
            )
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="views") as pool:
            first = list(pool.map(self._read, range(min(_CHUNK, len(self)))))
            count = 2 if any(pair.has_source for pair in first) else 1
            self._check_memory(first[0], count)
            columns = _stored(first, count)
            self._all = _Columns(**{
                name: torch.empty((len(self), *value.shape[1:]), dtype=value.dtype,
                                  device=self.device)
                for name, value in vars(columns).items()
            })  # fmt: skip
            self._put(0, columns)
            for start in range(_CHUNK, len(self), _CHUNK):
                indices = range(start, min(start + _CHUNK, len(self)))
                self._put(start, _stored(list(pool.map(self._read, indices)), count))

    @property
    def name(self) -> str:
        """Short name, for messages and logs."""
        return self._views.name

    def __len__(self) -> int:
        return len(self._views) * self._draws

    def pair(self, index: int, generator: torch.Generator) -> ViewPair:
        """Return view ``index`` as the set gives it, on the CPU."""
        return self._views.pair(index % len(self._views), generator)

    def batch(self, indices: torch.Tensor, generator: torch.Generator) -> PairBatch:
        """Return views by their indices (B,), on the device; images as stored, uint8.

        Where both views of a pair are equally well known, either is the target.

        Args:
            generator: on the CPU, so that the draws are the same on every device.
        """
        swap = (torch.rand(len(indices), generator=generator) < 0.5).to(self.device)
        chosen, every = indices.to(self.device), self._all
        swap &= every.swappable[chosen]
        target = swap.long()
        source = 1 - target if every.image.shape[1] == 2 else target
        motion = every.T_source_target[chosen]
        has = every.has[chosen]
        return PairBatch(
            image=every.image[chosen, target],
            depth=every.depth[chosen, target].float(),
            intrinsics=every.intrinsics[chosen],
            source=every.image[chosen, source],
            source_depth=every.depth[chosen, source].float(),
            T_source_target=torch.where(swap[:, None, None], inverse(motion), motion),
            has_source=has[:, 0],
            has_pose=has[:, 1],
            has_depth=has[:, 2],
            seen=every.seen[chosen, target],
            source_seen=every.seen[chosen, source],
        )

    def _read(self, index: int) -> ViewPair:
        return self.pair(index, torch.Generator().manual_seed(index))

    def _put(self, start: int, columns: _Columns) -> None:
        """Copy pairs to the device, from number ``start`` on."""
        for name, value in vars(columns).items():
            there: torch.Tensor = getattr(self._all, name)
            if value.shape[1:] != there.shape[1:]:
                raise _sizes_differ(self.name, value.shape[-2:], there.shape[-2:])
            there[start : start + len(value)] = value.to(self.device)

    def _check_memory(self, pair: ViewPair, count: int) -> None:
        if self.device.type != "cuda":
            return
        # Three bytes of colour, two of depth, one that says what was seen.
        needed = len(self) * count * pair.image[0].numel() * 6
        free, _ = torch.cuda.mem_get_info(self.device)
        if needed > _MOST_MEMORY * free:
            raise TrainingError.from_parts(
                f"{len(self)} pairs of {self.name} on {self.device}",
                f"{needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free",
                f"at most {_MOST_MEMORY:.0%} of what is free",
                "set data.resident=false, or use fewer rooms",
            )


def _stored(pairs: Sequence[ViewPair], count: int) -> _Columns:
    """Return pairs as columns on the CPU, with ``count`` views each."""
    sizes = {tuple(pair.image.shape[-2:]) for pair in pairs}
    if len(sizes) > 1:
        first, second = sorted(sizes)[:2]
        raise _sizes_differ("the set", first, second)
    seen = [torch.stack(pair.seen_masks()[:count]) for pair in pairs]
    has = [[pair.has_source and count == 2, pair.has_pose, pair.has_depth] for pair in pairs]
    return _Columns(
        image=torch.stack([torch.stack([p.image, p.source][:count]) for p in pairs]),
        depth=torch.stack([torch.stack([p.depth, p.source_depth][:count]) for p in pairs]).half(),
        seen=torch.stack(seen),
        intrinsics=torch.stack([p.intrinsics for p in pairs]),
        T_source_target=torch.stack([p.T_source_target for p in pairs]),
        has=torch.tensor(has),
        swappable=torch.tensor([count == 2 and _is_swappable(pair) for pair in pairs]),
    )


def _is_swappable(pair: ViewPair) -> bool:
    complete = pair.has_source and pair.has_pose and pair.has_depth and pair.source_seen is None
    return complete and bool((pair.source_depth > 0).any())


def _sizes_differ(name: str, one: Sequence[int], other: Sequence[int]) -> TrainingError:
    return TrainingError.from_parts(
        f"images of {name}",
        f"{one[1]}x{one[0]} and {other[1]}x{other[0]} pixels",
        "one size, as they are kept in one tensor",
        "set data.resident=false",
    )
