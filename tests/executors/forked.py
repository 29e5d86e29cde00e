"""Processes of this program, forked from one that has imported everything: the real code without seconds of imports.

`BackgroundCommand` is `harness …` in the background. What it starts (`python -m harness.trial …`) is forked from it in
turn; only the new interpreter is left out: session, pipes, guard, signals, output and exit codes are the real ones.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import logging
import multiprocessing
import multiprocessing.util
import os
import runpy
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
import types
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.processes import child
from tests.executors.fork_server import fork_from

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class BackgroundCommand:
    """`harness …`, running in the background as a shell in the foreground starts it.

    Args:
        arguments: of the command.
        prepare: called in the process before the command starts; the fork server imports it by its name.
        environment: further environment variables.
    """

    def __init__(
        self,
        *arguments: str,
        prepare: Callable[[], object] | None = None,
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        with tempfile.NamedTemporaryFile(prefix="harness-output-", delete=False) as file:
            self._output = Path(file.name)
        given = (arguments, self._output, {**os.environ, "CI": "true", **(environment or {})}, cwd or Path.cwd())
        self._process = fork_from(_run_command, *given, prepare)
        assert self._process.pid is not None
        self.pid = self._process.pid
        atexit.register(self._process.kill)  # of a test that failed; else the tests would wait for its end

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal that killed it; None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def output(self, *, timeout: float = 600) -> str:
        """Wait for its end; return what it and its processes printed, errors too."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self.kill()
            self._process.join()
            raise TimeoutError(f"still running after {timeout} s: {self._output.read_text()}")
        text = self._output.read_text()
        self._output.unlink()
        return text


def _run_command(
    arguments: tuple[str, ...],
    output: Path,
    environment: dict[str, str],
    cwd: Path,
    prepare: Callable[[], object] | None,
) -> None:
    """Be `harness …` in the forked process."""
    _become(environment, os.open(output, os.O_WRONLY | os.O_APPEND), os.open(output, os.O_WRONLY | os.O_APPEND))
    os.chdir(cwd)
    if prepare is not None:
        prepare()
    fork_what_is_started()
    sys.argv = ["harness", *arguments]
    from harness.cli import main

    main(list(arguments), prog_name="harness")


def _become(environment: dict[str, str], output: int, errors: int) -> None:
    """Give this forked process the state of a new one: environment, output, signals, no log handlers."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    multiprocessing.set_start_method(None, force=True)  # a fork server hands its own on
    logging.root.handlers.clear()
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def fork_what_is_started() -> None:
    """From now on, what this process starts by `harness.processes` is forked from it; it must not have used torch."""
    child.subprocess = types.SimpleNamespace(**{**vars(subprocess), "Popen": _Forked})  # type: ignore[assignment, attr-defined]


def served() -> types.SimpleNamespace:
    """Return what stands in for `subprocess` in `harness.processes.child` of a process that may have used torch.

    What it starts is then forked from the fork server, apart from what is led by a session of its own and watched
    through pipes. Those processes are in no group of it: it alone ends them.
    """

    def popen(arguments: Sequence[str], **options: Any) -> subprocess.Popen[Any] | _Served:
        piped = options["stdin"] == subprocess.PIPE
        return subprocess.Popen(arguments, **options) if piped else _Served(arguments, **options)

    return types.SimpleNamespace(**{**vars(subprocess), "Popen": popen})


class _Served:
    """`python … -m MODULE ARGUMENTS` without standard input, forked from the fork server."""

    def __init__(self, arguments: Sequence[str], *, stdout: int | None, env: dict[str, str] | None, **_: Any) -> None:
        words = arguments[arguments.index("-m") + 1 :]
        self.stdin = self.stdout = None
        self._captured = tempfile.TemporaryDirectory() if stdout == subprocess.PIPE else None
        streams = [f"/proc/{os.getpid()}/fd/{number}" for number in (1, 2)]
        if self._captured is not None:
            streams = [f"{self._captured.name}/{number}" for number in (1, 2)]
        self._process = fork_from(_run_served, words, env or dict(os.environ), *streams)
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> None:
        self._process.join(timeout)

    def kill(self) -> None:
        self._process.kill()

    def communicate(self) -> list[str]:
        self._process.join()
        if self._captured is None:
            return ["", ""]
        with self._captured as folder:
            return [(Path(folder) / str(number)).read_text() for number in (1, 2)]


def _run_served(words: Sequence[str], environment: dict[str, str], *streams: str) -> None:
    os.setsid()  # as the leader of a group: whoever ends it ends that
    _become(environment, *(os.open(stream, os.O_WRONLY | os.O_APPEND | os.O_CREAT) for stream in streams))
    sys.exit(_run_module(words))


class _Forked(subprocess.Popen[Any]):
    """`python … -m MODULE ARGUMENTS`, forked from this process."""

    def __init__(self, arguments: Sequence[str], *, start_new_session: bool, **options: Any) -> None:
        self._new_session = start_new_session
        super().__init__(arguments, **options)

    def _execute_child(self, *given: Any) -> None:
        """Fork in place of fork and exec; `subprocess` calls it with 22 arguments."""
        named = dict(zip(inspect.signature(super()._execute_child).parameters, given, strict=True))  # type: ignore[misc]
        pipes = [named[end] for end in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                code = self._be_child(named["args"], named["env"], *pipes)
            except BaseException:  # noqa: BLE001 - into the trial's log, as a new interpreter writes it
                traceback.print_exc()
            finally:
                os._exit(code)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _be_child(
        self, words: Sequence[str], environment: dict[str, str], stdin: int, p2cwrite: int, c2pread: int, stdout: int,
        errread: int, stderr: int,
    ) -> int:  # fmt: skip
        _close_what_exec_closes(p2cwrite, c2pread, errread)
        if self._new_session:
            os.setsid()
        if stdin != -1:
            os.dup2(stdin, 0)
        _become(environment, 1 if stdout == -1 else stdout, 2 if stderr == -1 else stderr)
        return _run_module(words[words.index("-m") + 1 :])


def _close_what_exec_closes(*ends_of_pipes: int) -> None:
    """Close these, files, folders and sockets: not its parent's lock, nor an end of its fork server's connection."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed the folder
            descriptor = int(name)
            mode = os.fstat(descriptor).st_mode
            if descriptor in ends_of_pipes or (
                descriptor > 2 and (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISSOCK(mode))
            ):
                os.close(descriptor)


def _run_module(arguments: Sequence[str]) -> int:
    """Do what `python -m` does with these, and return the exit code.

    What it starts in turn are new interpreters: torch's threads do not survive a fork.
    """
    child.subprocess = subprocess  # type: ignore[attr-defined]
    if Path(arguments[-1]).is_dir():
        os.open(arguments[-1], os.O_RDONLY)  # by which a test finds this process and what it forks
    sys.argv = list(arguments)
    warnings.filterwarnings("ignore", module="runpy")  # that the module was imported before
    code: Any = 0
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    multiprocessing.util._exit_function()  # type: ignore[attr-defined]  # ends the loaders' processes
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    assert code is None or isinstance(code, int)
    return code or 0
