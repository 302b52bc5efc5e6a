"""Recover a corrupted RGB-D frame through the map (paper B.1, figures 8 to 11).

Three clean frames and a fourth, corrupted one are fused; the map of the four clean frames is the
truth. Adam moves the fourth frame's depth and colour along the gradient of

    L_total = L_color + L_CD                                                       (paper eq. 9)

through PointFusion. Run:

    python examples/gradient_experiments.py --data ../shared/data/hololens/rooms_000 --out out/b1
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import torch
from tqdm import tqdm

from e2e_slam_ros.config import CameraConfig, MapConfig
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.losses.chamfer import nearest
from e2e_slam_ros.mapping.differentiable_map import DifferentiableMap
from e2e_slam_ros.mapping.surfel_store import Surfels
from e2e_slam_ros.slam.preprocess import Preprocessor

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402 - the backend has to be chosen first


@dataclass(frozen=True, eq=False)
class View:
    """One RGB-D frame with its pose."""

    depth: torch.Tensor
    image: torch.Tensor
    camera: PinholeCamera
    T_map_camera: torch.Tensor


def load_views(data: Path, first: int, step: int, width: int) -> list[View]:
    """Return four frames ``step`` apart at ``width`` pixels."""
    reader = open_reader(data)
    preprocess = Preprocessor(CameraConfig(working_width=width), torch.device("cpu"))
    views = []
    for index in range(first, first + 4 * step, step):
        frame = reader[index]
        working = preprocess(frame)
        if working.depth is None or frame.T_map_camera is None:
            raise SystemExit(f"frame {index} of {data} has no depth or no pose: choose another")
        # Clones: tensors made in inference mode take no part in autograd.
        views.append(
            View(
                working.depth.clone(),
                working.image.clone(),
                working.camera,
                torch.from_numpy(frame.T_map_camera),
            )
        )
    return views


def fuse(views: list[View], depth: torch.Tensor, image: torch.Tensor) -> Surfels:
    """Return the map of the first three views and of the fourth as given."""
    made = DifferentiableMap(MapConfig())
    for view in views[:3]:
        made.fuse(view.depth, view.image, view.camera, view.T_map_camera)
    last = views[3]
    return made.fuse(depth, image, last.camera, last.T_map_camera)


def loss_terms(surfels: Surfels, truth: Surfels) -> tuple[torch.Tensor, torch.Tensor]:
    """Return L_CD (eq. 5, square metres) and L_color (L1 between nearest surfels)."""
    there = nearest(surfels.positions, truth.positions)
    back = nearest(truth.positions, surfels.positions)
    distance = (surfels.positions - truth.positions[there]).square().sum(1).mean()
    distance = distance + (truth.positions - surfels.positions[back]).square().sum(1).mean()
    color = (surfels.colors - truth.colors[there]).abs().mean()
    return distance, color + (truth.colors - surfels.colors[back]).abs().mean()


def noise(view: View) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian noise: 2 cm in depth, 0.1 in colour."""
    generator = torch.Generator().manual_seed(0)
    depth = view.depth + 0.02 * torch.randn(view.depth.shape, generator=generator)
    image = view.image + 0.1 * torch.randn(view.image.shape, generator=generator)
    return torch.where(view.depth > 0, depth, 0.0), image.clamp(0, 1)


def patch(view: View) -> tuple[torch.Tensor, torch.Tensor]:
    """The middle of the frame replaced by its mean depth and black."""
    depth, image = view.depth.clone(), view.image.clone()
    height, width = depth.shape[-2:]
    rows, columns = slice(height // 3, 2 * height // 3), slice(width // 3, 2 * width // 3)
    depth[..., rows, columns] = view.depth[view.depth > 0].mean()
    image[..., rows, columns] = 0.0
    return depth, image


def constant(view: View) -> tuple[torch.Tensor, torch.Tensor]:
    """The whole frame replaced by its mean depth and grey."""
    depth = torch.full_like(view.depth, float(view.depth[view.depth > 0].mean()))
    return depth, torch.full_like(view.image, 0.5)


CORRUPTIONS: dict[str, Callable[[View], tuple[torch.Tensor, torch.Tensor]]] = {
    "noise": noise,
    "patch": patch,
    "constant": constant,
}


@dataclass(frozen=True, eq=False)
class Recovery:
    """What one experiment did, step by step."""

    total: list[float]
    color: list[float]
    distance: list[float]
    image_error: list[float]
    depth_error: list[float]
    images: tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def recover(views: list[View], corruption: str, steps: int, lr: float) -> Recovery:
    """Run Adam on the corrupted fourth frame."""
    clean = views[3]
    with torch.no_grad():
        truth = fuse(views, clean.depth, clean.image)
    depth, image = CORRUPTIONS[corruption](clean)
    corrupted = image.clone()
    known = clean.depth > 0
    depth.requires_grad_()
    image.requires_grad_()
    optimizer = torch.optim.Adam([depth, image], lr=lr)
    trace: list[tuple[float, ...]] = []
    for _ in tqdm(range(steps), desc=corruption):
        optimizer.zero_grad()
        distance, color = loss_terms(fuse(views, depth, image), truth)
        (distance + color).backward()
        with torch.no_grad():
            image_error = (image - clean.image).abs().mean()
            depth_error = (depth - clean.depth)[known].abs().mean()
        terms = (distance + color, color, distance, image_error, depth_error)
        trace.append(tuple(term.item() for term in terms))
        optimizer.step()
    columns = [list(column) for column in zip(*trace, strict=True)]
    return Recovery(*columns, images=(clean.image, corrupted, image.detach().clamp(0, 1)))


def draw(results: dict[str, Recovery], path: Path) -> None:
    """Draw images and curves, one row an experiment, as in the paper's figures 9 to 11."""
    figure, axes = pyplot.subplots(len(results), 5, figsize=(16, 3 * len(results)), squeeze=False)
    for row, (name, result) in zip(axes, results.items(), strict=True):
        titles = ("ground truth", f"input: {name}", "recovered")
        for axis, title, image in zip(row, titles, result.images, strict=False):
            axis.imshow(image[0].permute(1, 2, 0).numpy())
            axis.set_title(title)
            axis.axis("off")
        row[3].plot(result.total, label="total")
        row[3].plot(result.color, label="colour")
        row[3].plot(result.distance, label="Chamfer, m2")
        row[4].plot(result.image_error, label="image, L1")
        row[4].plot(result.depth_error, label="depth, m")
        for axis, title in ((row[3], "loss"), (row[4], "error of the fourth frame")):
            axis.set_title(title)
            axis.set_xlabel("step")
            axis.set_yscale("log")
            axis.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Run the three experiments, print their figures, draw them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/gradient_experiments"))
    parser.add_argument("--first", type=int, default=100, help="first of the four frames")
    parser.add_argument("--step", type=int, default=1, help="frames between them")
    parser.add_argument("--width", type=int, default=96, help="working width, pixels")
    parser.add_argument("--steps", type=int, default=80, help="the paper: 80")
    parser.add_argument("--lr", type=float, default=1e-4, help="the paper: 1e-4")
    arguments = parser.parse_args()
    views = load_views(arguments.data, arguments.first, arguments.step, arguments.width)
    results = {}
    for name in CORRUPTIONS:
        result = results[name] = recover(views, name, arguments.steps, arguments.lr)
        print(
            f"{name:9s} loss {result.total[0]:.4f} -> {result.total[-1]:.4f}   "
            f"image L1 {result.image_error[0]:.4f} -> {result.image_error[-1]:.4f}   "
            f"depth {result.depth_error[0]:.4f} -> {result.depth_error[-1]:.4f} m"
        )
    picture = arguments.out / "gradient_experiments.png"
    draw(results, picture)
    print(picture)


if __name__ == "__main__":
    main()
