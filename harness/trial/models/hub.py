"""Published files of Hugging Face's hub: found in its cache on this machine, brought there by `harness fetch` alone.

The cache and its layout are the hub's own, so that whatever else downloads from it finds the same files.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from harness import printing
from harness.errors import WeightsError
from harness.suite.catalog.published import described, hub_folder, location

if TYPE_CHECKING:
    from harness.suite.catalog.architecture import HubFile


def require(file: HubFile, architecture: str) -> Path:
    """The file in the cache.

    Args:
        architecture: whose weights they are, for the error.

    Raises:
        WeightsError: it is not there; names the folder and the alternatives.
    """
    path = location(file)
    if not path.is_file():
        raise WeightsError(f"weights of {architecture}: {_absent(file)}. {_alternatives()}")
    return path


def fetch(file: HubFile, architecture: str, *, if_any: bool = False) -> Path:
    """The file in the cache, downloaded unless it is there already.

    Args:
        if_any: whether the repository may lack it; then it is not there afterwards.

    Raises:
        WeightsError: it cannot be had; names the folder and the alternatives.
    """
    path = location(file)
    if path.is_file():
        return path
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError, logging
    except ImportError:
        raise WeightsError(
            f"weights of {architecture}: {_absent(file)}, and downloading needs: pip install huggingface_hub"
        ) from None
    logging.set_verbosity_error()  # it would tell of each attempt; the last one's reason is told below
    try:
        print(f"fetching {described(file)} from huggingface.co to {hub_folder()}", flush=True)
        with contextlib.redirect_stderr(printing.terminal(error=True)):  # its bar moves on one line
            return Path(hf_hub_download(file.repo, file.file, revision=file.revision, cache_dir=hub_folder()))
    except Exception as error:  # noqa: BLE001 - whatever its HTTP client raises, which differs between versions
        if if_any and isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return path
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"weights of {architecture}: {_absent(file)}, and the download failed ({reason}). {_alternatives()}"
        ) from None


def _absent(file: HubFile) -> str:
    return f"{described(file)} is not in the cache {hub_folder()}"


def _alternatives() -> str:
    return (
        "Run `harness fetch SUITE` where there is internet (or copy that cache from there), or set for this "
        "architecture `weights: none` (random), or `weights: PATH` (a file of yours)"
    )
