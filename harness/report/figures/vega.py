"""The libraries that draw the interactive pictures: Vega, Vega-Lite and Vega-Embed, bundled once for a user."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata

from harness.errors import HarnessError
from harness.store import files, paths

log = logging.getLogger(__name__)


@functools.cache
def prepare() -> Future[str]:
    """Start to bundle the libraries in another process, once: it takes seconds, while the rest of the page is made."""
    return ThreadPoolExecutor(1).submit(_bundle)


def libraries() -> str | None:
    """Return Vega, Vega-Lite and Vega-Embed as a JavaScript module that sets `window.vegaEmbed`; None if that fails."""
    try:
        return prepare().result()
    except (OSError, subprocess.CalledProcessError) as error:
        log.warning("the page has no interactive picture: %s", error)
        return None


def _bundle() -> str:
    """Read the bundle that an earlier report of this user left in the cache, or make it."""
    kept = paths.user_cache() / f"vega-{metadata.version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        first_line, _, bundle = kept.read_text(encoding="utf-8").partition("\n")
        if first_line == _checksum(bundle):
            return bundle
    code = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;'))"
    process = subprocess.run((sys.executable, "-c", code), capture_output=True, check=True, encoding="utf-8")
    with contextlib.suppress(HarnessError):  # it is made again next time
        files.make_folder(kept.parent)
        files.replace(kept, f"{_checksum(process.stdout)}\n{process.stdout}".encode())
    return process.stdout


def _checksum(bundle: str) -> str:
    return f"// sha256 {hashlib.sha256(bundle.encode()).hexdigest()}"
