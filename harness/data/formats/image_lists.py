"""Lists of images: text files that name one image a line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.formats.reading import UnreadableError, read_text
from harness.data.problems import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.data.problems import Findings


def read_list(listing: Path, root: Path, findings: Findings) -> Iterator[tuple[int, str]]:
    """Yield each line's number and its image's path relative to the root.

    A line is absolute or relative to the root; one that begins with `./` is relative to the list's own folder.
    """
    top = Path(os.path.abspath(root))
    try:
        lines = read_text(listing).splitlines()
    except UnreadableError as error:
        raise UnreadableError(error.detail, error.line, listing) from None
    for line, content in enumerate(lines, start=1):
        text = content.strip()
        if text.startswith("data/") and not os.path.exists(top / text):
            text = text.removeprefix("data/")  # CVAT's lists name images below its own data folder
        start = Path(os.path.abspath(listing.parent)) if text.startswith("./") else top
        path = Path(os.path.normpath(start / text))
        if not text:
            continue
        if "\\" in text or not path.is_relative_to(top):
            findings.add("path_escapes_root", Place(file=str(listing), line=line, image=text))
        else:
            yield line, path.relative_to(top).as_posix()
