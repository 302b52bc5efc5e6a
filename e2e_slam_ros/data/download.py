"""Download of sequences of the TUM RGB-D benchmark."""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.atomic import write_error
from e2e_slam_ros.data.http_stream import HttpStream

# CC BY 4.0, Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems", IROS 2012.
TUM_URL = "https://cvg.cit.tum.de/rgbd/dataset"


def tum_sequence_name(name: str) -> str:
    """Return the published folder name for "fr1/desk", "freiburg1_desk" or the folder name itself.

    Raises:
        DataError: the name is none of these.

    >>> tum_sequence_name("fr1/desk")
    'rgbd_dataset_freiburg1_desk'
    """
    found = re.fullmatch(
        r"(?:rgbd_dataset_)?(?:fr|freiburg)([123])[/_]([a-z0-9_]+)", name.strip().lower()
    )
    if found is None:
        raise DataError.from_parts(
            "sequence", repr(name), "a TUM RGB-D name such as fr1/desk", "see the benchmark's list"
        )
    return f"rgbd_dataset_freiburg{found.group(1)}_{found.group(2)}"


def download_tum(
    name: str,
    folder: Path | str,
    timeout: float = 10.0,
    progress: bool | None = None,
    base_url: str = TUM_URL,
) -> Path:
    """Download a sequence into ``folder`` and return its own folder.

    The archive is unpacked into a hidden folder while it arrives. The folder gets its final name
    at the end, so a sequence under its final name is complete. A sequence that is there is not
    downloaded again. An interrupted download starts anew.

    Args:
        name: "fr1/desk" or the published name.
        folder: parent of the sequence's folder.
        timeout: seconds without an answer before the download fails.

    Raises:
        DataError: no network, no such sequence, a damaged or unsafe archive, a full disk.
    """
    if not hasattr(tarfile, "data_filter"):
        raise DataError.from_parts(
            "Python's tarfile",
            "no 'data' filter",
            "3.10.12, 3.11.4 or later",
            "update Python, or unpack the archive by hand",
        )
    sequence = tum_sequence_name(name)
    target = Path(folder).expanduser() / sequence
    if (target / "rgb.txt").is_file():
        return target
    camera = sequence.removeprefix("rgbd_dataset_").partition("_")[0]
    url = f"{base_url}/{camera}/{sequence}.tgz"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{sequence}.", dir=target.parent))
    except OSError as problem:
        raise write_error(target, problem) from problem
    try:
        _fetch(url, partial, timeout, progress)
        _adopt(partial, sequence, target, url)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _fetch(url: str, partial: Path, timeout: float, progress: bool | None) -> None:
    do = "check the network, or give the folder of a sequence you have"
    with HttpStream(url, timeout, progress, do) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|gz") as archive:  # type: ignore[call-overload]
                # The filter refuses absolute paths, "..", links that lead out, and devices.
                archive.extractall(partial, filter="data")
        except (tarfile.TarError, EOFError) as problem:
            raise DataError.from_parts(
                f"archive {url}",
                f"{type(problem).__name__}: {problem}",
                "a complete, safe .tgz",
                "try again, or download it by hand",
            ) from problem
        except OSError as problem:
            raise write_error(partial, problem) from problem


def _adopt(partial: Path, sequence: str, target: Path, url: str) -> None:
    """Rename the unpacked folder to its final name."""
    unpacked = partial / sequence
    if not (unpacked / "rgb.txt").is_file():
        raise DataError.from_parts(
            f"archive {url}",
            f"{', '.join(sorted(p.name for p in partial.iterdir())) or 'nothing'} in it",
            f"{sequence}/rgb.txt",
            "choose another sequence",
        )
    try:
        unpacked.rename(target)
    except OSError as problem:
        raise write_error(target, problem) from problem
