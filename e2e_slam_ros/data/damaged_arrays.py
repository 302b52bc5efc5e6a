"""The errors that damaged archives of arrays raise."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib

# What zipfile and NumPy raise on damaged bytes of an .npz file: flags of encryption or compression
# that are not there (RuntimeError), headers of arrays that are no Python literal (TokenError), a
# plain array instead of an archive (AttributeError, TypeError), numbers out of range (IndexError).
DAMAGED_ARRAYS: tuple[type[Exception], ...] = (
    OSError, ValueError, KeyError, IndexError, EOFError, RuntimeError, AttributeError, TypeError,
    MemoryError, tokenize.TokenError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
