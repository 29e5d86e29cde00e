"""A results folder as it was in a git commit, written to a temporary folder while it is read.

Owns the calls to git; the work tree and the index are never touched.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.store.files import make_folder
from harness.store.paths import SuiteFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

# The last @ parts folder and commit, but for git's own in HEAD@{1}.
_AT = re.compile(r"(?P<folder>.+)@(?P<commit>[^@{][^@]*(?:@\{[^}]*\})?)", re.DOTALL)
_WANTED = {".json", ".parquet"}
_FILES = {"100644", "100755"}  # no links


def parted(text: str) -> tuple[Path, str | None]:
    """`DIR@COMMIT` as its two parts; a folder whose name has an @ in it and that is there is no commit's."""
    found = None if Path(text).exists() else _AT.fullmatch(text)
    return (Path(found["folder"]), found["commit"]) if found else (Path(text), None)


@contextlib.contextmanager
def at_commit(path: Path, commit: str) -> Iterator[SuiteFolder]:
    """Records and raw results below `path` as they are in a commit.

    Raises:
        UsageError: no git, no repository, no such commit, or nothing there in it.
        MachineError: the temporary folder cannot be written.
    """
    path = path.resolve()
    near = next(parent for parent in (path, *path.parents) if parent.is_dir())
    top = _git(near, "rev-parse", "--show-toplevel")
    if top.returncode:
        raise UsageError(f"{path}: git knows no commit {commit} of it: {top.stderr.strip()}")
    root = Path(top.stdout.strip()).resolve()
    if not path.is_relative_to(root):
        raise UsageError(f"{path}: lies outside of {root}, which git takes for its repository")
    inside = path.relative_to(root).as_posix()
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    if found.returncode:
        raise UsageError(f"{commit}: no commit of the repository {root}; in a shallow clone, fetch it first")
    sha = found.stdout.strip()
    listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", f"{sha}:{'' if inside == '.' else inside}")
    if listed.returncode:
        raise UsageError(
            f"{inside}: not in commit {commit}; git has results only where they were added to it "
            f"(`git log -- {inside}` shows when)"
        )
    with tempfile.TemporaryDirectory(prefix="harness-") as temporary:
        folder = Path(temporary) / path.name
        make_folder(folder)
        _write_out(root, listed.stdout, folder)
        written = SuiteFolder(folder)
        if not written.trials() and not written.plan.is_file():
            raise UsageError(f"{inside}: in commit {commit} it holds no results of a suite (no trials/ in it)")
        yield written


def _write_out(root: Path, listed: str, folder: Path) -> None:
    """What `git ls-tree -r -z` listed."""
    for line in filter(None, listed.split("\0")):
        kind, _, name = line.partition("\t")
        mode, _, blob = kind.split()
        place = PurePosixPath(name)
        if mode not in _FILES or place.suffix not in _WANTED or place.is_absolute() or ".." in place.parts:
            continue
        make_folder(folder / place.parent)
        with (folder / place).open("xb") as file:
            done = subprocess.run(
                ("git", "-C", str(root), "cat-file", "blob", blob), stdout=file, stderr=subprocess.PIPE, check=False
            )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise UsageError(f"{name}: git cannot give what the commit names: {said}")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What git says, or why it does not.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return subprocess.run(
            ("git", "-C", str(folder), *arguments),
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except FileNotFoundError:
        raise UsageError("git is not installed: give folders without @COMMIT") from None
