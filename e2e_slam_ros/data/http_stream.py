"""Downloads from web servers."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from tqdm import tqdm

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.atomic import open_atomic

_BLOCK = 1 << 20


class HttpStream:
    """A file on a web server. It is read once from start to end, with a progress bar.

    Args:
        timeout: seconds without an answer before the download fails.
        progress: show a progress bar; None = only in a terminal.
        do: advice for the error when the server cannot be reached.

    Raises:
        DataError: no network or no such file. While reading: the connection broke.

    >>> with HttpStream("data:,hello", timeout=1.0, progress=False, do="") as stream:
    ...     stream.read()
    b'hello'
    """

    def __init__(self, url: str, timeout: float, progress: bool | None, do: str) -> None:
        self.url = url
        self._do = do
        try:
            self._answer = urllib.request.urlopen(url, timeout=timeout)
        except (OSError, HTTPException, ValueError) as problem:
            raise self._unreachable(problem) from problem
        total = self._answer.headers.get("Content-Length", "")
        self.total = int(total) if total.isdigit() else None
        self.count = 0
        self._bar = tqdm(
            total=self.total,
            unit="B",
            unit_scale=True,
            desc=url.rpartition("/")[2],
            # None hides the bar where the output is not a terminal.
            disable=None if progress is None else not progress,
        )

    def read(self, size: int = _BLOCK) -> bytes:
        """Return up to ``size`` bytes, and no bytes at the end.

        Raises:
            DataError: the connection broke, or the file is shorter than its announced length.
        """
        try:
            data: bytes = self._answer.read(size)
        except (OSError, HTTPException) as problem:
            raise self._unreachable(problem) from problem
        self.count += len(data)
        self._bar.update(len(data))
        if size and not data and self.total is not None and self.count < self.total:
            raise DataError.from_parts(
                f"download of {self.url}",
                f"{self.count} bytes, then the end of the connection",
                f"{self.total} bytes",
                "try again",
            )
        return data

    def __enter__(self) -> HttpStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._bar.close()

    def _unreachable(self, problem: Exception) -> DataError:
        reason = getattr(problem, "reason", None) or problem
        if isinstance(problem, urllib.error.HTTPError):
            reason = f"HTTP {problem.code} {problem.reason}"
        return DataError.from_parts(
            f"download of {self.url}",
            str(reason) or type(problem).__name__,
            "an answer from the server",
            self._do,
        )


def download_file(
    url: str,
    path: Path,
    sha256: str,
    timeout: float = 10.0,
    progress: bool | None = None,
    size: int | None = None,
    do: str = "check the network",
) -> None:
    """Download a file with a known SHA-256. The file appears completely or not at all.

    Args:
        url, timeout, progress, do: as for `HttpStream`.
        path: the file to write. An existing file is replaced.
        sha256: 64 hexadecimal digits.
        size: number of bytes, where known. A server that announces more is refused.

    Raises:
        DataError: no network, no such file, a broken connection, a file with another SHA-256, or
            a folder that cannot be written.
    """
    what = f"file {url}"
    with HttpStream(url, timeout, progress, do) as stream:
        if size is not None and stream.total is not None and stream.total != size:
            raise DataError.from_parts(what, f"{stream.total} bytes", f"{size} bytes", do)
        digest = hashlib.sha256()
        with open_atomic(path) as file:
            head = b""
            while block := stream.read():
                head = head or block[:1]
                digest.update(block)
                file.write(block)
                if size is not None and stream.count > size:
                    break  # longer than announced: another file, perhaps without an end
            found = digest.hexdigest()
            if found != sha256.lower():
                page = ", a web page" if head == b"<" else ""
                raise DataError.from_parts(
                    what,
                    f"SHA-256 {found} ({stream.count} bytes{page})",
                    sha256.lower(),
                    "do not use it: it was changed on the way or is another file; " + do,
                )
