"""The files of a run: the map is written first, the report last."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from e2e_slam_ros import __version__
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.atomic import require_writable, write_text_atomic
from e2e_slam_ros.data.trajectory_file import write_tum_trajectory
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.evaluation.run.report import report_html
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.mapping.ply import write_ply
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

MAP_FILE, TRAJECTORY_FILE, CONFIG_FILE = "map.ply", "trajectory.txt", "config.yaml"
CHECKPOINT_FILE = "map.safetensors"
METRICS_FILE, REPORT_FILE = "metrics.json", "report.html"
COMPARISON_FILE = "comparison.html"

_SURFEL_BYTES = 31 + 56  # one vertex of map.ply, one surfel of map.safetensors
_OTHER_BYTES = 10_000_000  # report, trajectory, metrics


@dataclass(frozen=True)
class RunFiles:
    """Absolute paths of the files written, and a sentence for each that could not be.

    >>> RunFiles((Path("/tmp/out/map.ply"),), ()).failures
    ()
    """

    written: tuple[Path, ...]
    failures: tuple[str, ...]


def prepare_folder(folder: Path | str, max_surfels: int) -> Path:
    """Make the output folder and return its absolute path; called before a run, not after it.

    Raises:
        DataError: it cannot be written, or has no room for a map of ``max_surfels``.
    """
    target = Path(folder).expanduser().absolute()
    require_writable(target)
    free = shutil.disk_usage(target).free
    needed = max_surfels * _SURFEL_BYTES + _OTHER_BYTES
    if free < needed:
        raise DataError.from_parts(
            f"output folder {target}",
            f"{free / 1e6:.0f} MB free",
            f"{needed / 1e6:.0f} MB for a map of {max_surfels:,} surfels and the report",
            "free space, choose another folder or lower map.max_surfels",
        )
    return target


def refuse_earlier_run(folder: Path) -> None:
    """Refuse a folder that already holds a run's results; writing would replace them.

    Raises:
        DataError: it has a map.ply or a metrics.json.
    """
    found = [name for name in (MAP_FILE, METRICS_FILE) if os.path.lexists(folder / name)]
    if found:
        raise DataError.from_parts(
            f"output folder {folder}",
            f"{' and '.join(found)} of an earlier run",
            "a folder without results",
            "choose another folder, or move these files away",
        )


def write_run(
    folder: Path | str,
    summary: RunSummary,
    cloud: SurfelCloud,
    config: Config,
    command: str = "",
    checkpoint: Path | Exception | None = None,
) -> RunFiles:
    """Write map.ply, trajectory.txt, config.yaml, metrics.json and report.html, in this order.

    Each file appears whole or not at all, and one that fails does not keep the others from
    being written. Nothing is raised: at the end of a run there is only something to lose.

    Args:
        folder: where; made when missing.
        command: the line that started the run, for the report.
        checkpoint: the map's file that was written already, or why it was not.
    """
    target = Path(folder).expanduser().absolute()
    machine = machine_line(summary.device)
    trajectory = summary.trajectory

    def write_report() -> None:
        page = report_html(summary, cloud, config, machine, command)
        write_text_atomic(target / REPORT_FILE, page)

    steps: list[tuple[str, Callable[[], object]]] = [
        (MAP_FILE, lambda: write_ply(target / MAP_FILE, cloud)),
        (
            TRAJECTORY_FILE,
            lambda: write_tum_trajectory(
                target / TRAJECTORY_FILE, trajectory.stamps_ns, trajectory.estimated
            ),
        ),
        (CONFIG_FILE, lambda: write_text_atomic(target / CONFIG_FILE, config.to_yaml())),
        (
            METRICS_FILE,
            lambda: write_text_atomic(target / METRICS_FILE, _metrics_json(summary, machine)),
        ),
        (REPORT_FILE, write_report),
    ]
    written, failures = [], []
    if isinstance(checkpoint, Path):
        written.append(checkpoint)
    elif checkpoint is not None:
        failures.append(f"{CHECKPOINT_FILE} was not written: {checkpoint}")
    for name, write in steps:
        try:
            write()
            written.append(target / name)
        except Exception as error:  # noqa: BLE001 - one file must not cost the others
            failures.append(f"{name} was not written: {error}")
    return RunFiles(tuple(written), tuple(failures))


def _metrics_json(summary: RunSummary, machine: str) -> str:
    content = {**summary.to_metrics(), "machine": machine, "version": __version__}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"
