"""Published weights of other authors: address, licence and hash."""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from e2e_slam_ros.config.errors import ConfigError, DataError
from e2e_slam_ros.data.http_stream import download_file


@dataclass(frozen=True)
class PublishedFile:
    """A file that belongs to published weights.

    Attributes:
        file: its name.
        sha256: 64 hexadecimal digits.
        size: bytes.

    >>> find_published("depth-anything-v2-metric-indoor-small").beside[0].file
    'config.json'
    """

    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class PublishedWeights:
    """A published file of weights, or a folder with such a file.

    Attributes:
        name: name of the file in the command.
        what: description in words.
        licence: in words; the authors' page is binding.
        page: address of the authors' page.
        file: name of the file where it is published.
        architecture: the ``depth.network.architecture`` that loads the file; "" if none does.
        url: address of the file; "" where only a browser can fetch it.
        sha256: 64 hexadecimal digits; "" where none is published.
        size: bytes; None where unknown.
        beside: other files at the same address. All of them are saved in one folder.

    >>> find_published(PUBLISHED[0].name) is PUBLISHED[0]
    True
    """

    name: str
    what: str
    licence: str
    page: str
    file: str
    architecture: str = ""
    url: str = ""
    sha256: str = ""
    size: int | None = None
    beside: tuple[PublishedFile, ...] = ()

    @property
    def saved_as(self) -> str:
        """Local name of the file or folder. Published names are the same for several trainings."""
        if self.beside:
            return self.name
        base = Path(self.file).name
        return self.name + base[base.index(".") :]


# Hashes and revision as several public projects pin them, independently.
_DEPTH_ANYTHING = (
    "https://huggingface.co/depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf/resolve/"
    "8078d68a9c75a972131914f6afd0c1723be0da7f"
)

PUBLISHED = (
    PublishedWeights(
        name="depth-anything-v2-metric-indoor-small",
        what="depth of rooms in metres, accurate and slow without a GPU (Yang et al., NeurIPS "
        "2024); needs requirements-networks.txt",
        licence="Apache-2.0, as its authors say of their Small networks; the page of these files "
        "names none",
        page="https://huggingface.co/depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf",
        file="model.safetensors",
        architecture="transformers",
        url=f"{_DEPTH_ANYTHING}/model.safetensors",
        sha256="e990eb82fbf11b05b7813261196a2b841bdcf5a05f64396724a8987fa90504a3",
        size=99_173_660,
        beside=(
            PublishedFile(
                "config.json",
                "0b1d9fc591693d16b864249a9cfcf5264c8c00be999c1643fa1c64dc105d55f8",
                1063,
            ),
            PublishedFile(
                "preprocessor_config.json",
                "533b16a60445d7cab5086d39b45f92be45624b977972c62d5984d93e98366063",
                437,
            ),
        ),
    ),
    PublishedWeights(
        name="sc-sfmlearner-nyu-resnet18",
        what="depth of rooms up to a factor, trained on rectified NYUv2 (Bian et al. 2020)",
        licence="not stated on its page; ask its authors before you distribute it",
        page="https://github.com/JiawangBian/Unsupervised-Indoor-Depth, under Evaluation, "
        "Pretrained Models",
        file="rectified_nyu_r18/dispnet_model_best.pth.tar",
        architecture="disp_resnet18",
    ),
    PublishedWeights(
        name="sc-sfmlearner-kitti-resnet18",
        what="depth of streets up to a factor, trained on KITTI (Bian et al., NeurIPS 2019)",
        licence="not stated on its page; ask its authors before you distribute it",
        page="https://github.com/JiawangBian/SC-SfMLearner-Release, under Pretrained Models",
        file="resnet18_depth_256/dispnet_model_best.pth.tar",
        architecture="disp_resnet18",
    ),
    PublishedWeights(
        name="imagenet-resnet18",
        what="image classifier, to start the training of a disp_resnet18 from; no depth network",
        licence="BSD-3-Clause (torchvision); terms of its training data, ImageNet, may apply",
        page="https://pytorch.org/vision/stable/models",
        file="resnet18-f37072fd.pth",
        url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
        sha256="f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        size=46_830_571,
    ),
)


def find_published(name: str) -> PublishedWeights:
    """Return the entry with that name.

    Raises:
        ConfigError: no entry has that name.
    """
    known = {entry.name: entry for entry in PUBLISHED}
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise ConfigError.from_parts(
            "weights", repr(name), "one of " + ", ".join(known), f"did you mean {nearest}?"
        )
    return known[name]


def download_published(
    entry: PublishedWeights,
    folder: Path,
    url: str = "",
    sha256: str = "",
    timeout: float = 10.0,
    progress: bool | None = None,
) -> Path:
    """Return the path of the weights in ``folder``. They are downloaded unless they are there.

    Weights with files beside them get a folder of their own, whose path is returned. A file that
    has arrived stays if a later one fails.

    Args:
        url: another address of the same file; required where the entry has none. For a folder
            the address of the folder.
        sha256: expected hash; required where the entry has none.
        timeout: seconds without an answer before the download fails.

    Raises:
        ConfigError: the address or the SHA-256 is unknown, malformed, or contradicts the entry.
        DataError: no network, no such file, a file with another hash, or a folder that cannot be
            written.
    """
    expected = _expected_hash(entry, sha256)
    if entry.beside:
        return _download_folder(entry, folder, url, timeout, progress)
    address = url or entry.url
    path = folder.expanduser().absolute() / entry.saved_as
    if expected and _hash_of(path) == expected:
        return path
    if not (address and expected):
        raise ConfigError.from_parts(
            f"weights {entry.name}",
            f"{'an address' if address else 'no address'} and "
            f"{'a' if expected else 'no'} SHA-256 to check the file with",
            "both: its authors publish it for browsers, without a SHA-256",
            f"download {entry.file} with a browser ({entry.page}), save it as {path} and set "
            f"depth.network.architecture={entry.architecture} depth.network.checkpoint={path}; "
            "or give --url and --sha256",
        )
    by_hand = f"check the network, or download {entry.file} with a browser ({entry.page})"
    download_file(address, path, expected, timeout, progress, entry.size, by_hand)
    return path


def _download_folder(
    entry: PublishedWeights, folder: Path, url: str, timeout: float, progress: bool | None
) -> Path:
    """Return the folder with all files of an entry."""
    target = folder.expanduser().absolute() / entry.saved_as
    address = url.rstrip("/") or entry.url.rpartition("/")[0]
    by_hand = f"check the network, or save the files of {entry.page} in {target}"
    assert entry.size is not None
    weights = PublishedFile(entry.file, entry.sha256, entry.size)
    for part in (*entry.beside, weights):
        path = target / part.file
        if _hash_of(path) != part.sha256:
            download_file(
                f"{address}/{part.file}",
                path,
                part.sha256,
                timeout,
                progress,
                part.size,
                by_hand,
            )
    return target


def _expected_hash(entry: PublishedWeights, given: str) -> str:
    """Return the expected SHA-256 of the file, "" if it is unknown."""
    given = given.strip().lower()
    if given and not re.fullmatch(r"[0-9a-f]{64}", given):
        do = "copy it from where the file is published, or from `sha256sum FILE`"
        raise ConfigError.from_parts("--sha256", repr(given), "64 hexadecimal digits", do)
    if given and entry.sha256 and given != entry.sha256:
        raise ConfigError.from_parts(
            "--sha256",
            given,
            f"{entry.sha256}, which {entry.name} has",
            "leave --sha256 out; a file with another one is another file",
        )
    return given or entry.sha256


def _hash_of(path: Path) -> str:
    """Return a file's SHA-256, "" if there is no file."""
    if not path.is_file():
        return ""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise DataError.from_parts(
            f"file {path}", problem.strerror or problem, "a readable file", "remove it"
        ) from problem
    return hashlib.sha256(content).hexdigest()
