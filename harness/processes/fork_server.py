"""Fork processes from one that has imported everything: seconds of imports once for a night, not once for each trial.

Both ends of it. The runner starts the server and asks it for processes; the server forks them, and each becomes a child
of the runner, as if that had started it: it is waited for, signalled and ended in the same way, and shares nothing with
the server but memory that neither has written since. Linux alone lets a process adopt another's orphans.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from setproctitle import setproctitle

from harness.processes.child import adopt_orphans, ended, start_python
from harness.processes.forked import ForkedProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENT = "--fork-server"  # of harness.trial
AVAILABLE = sys.platform == "linux"
_MOST_BYTES = 2**16  # of a message: a path, or a number
_IMPORTS_S = 300.0  # until the server answers; a new process then waits for the same disk, and is watched


class ForkServer:
    """The runner's end.

    Args:
        environment: the environment variables of the server, and of every process that it forks.

    Raises:
        MachineError: the system has no room for another process.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        adopt_orphans()
        self._connection, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection.settimeout(_IMPORTS_S)
        with other:
            self._process = start_python(
                ("-m", "harness.trial", ARGUMENT),
                stdin=other,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,
            )

    def start(self, folder: str) -> ForkedProcess | None:
        """Fork a process that works on an attempt's folder; None if the server cannot. The first call waits for it."""
        ends = [*os.pipe(), *os.pipe()]
        stdin, held, output, printed = ends
        with contextlib.ExitStack() as closed:
            for end in ends:
                closed.callback(os.close, end)
            try:
                socket.send_fds(self._connection, [os.fsencode(folder)], [stdin, printed])
                pid = int(self._connection.recv(_MOST_BYTES) or b"0")
            except OSError:
                pid = 0
            if not pid:
                return None
            closed.pop_all()
        os.close(stdin)
        os.close(printed)
        return ForkedProcess(pid, stdin=open(held, "wb"), stdout=open(output, "rb"))

    def close(self) -> None:
        """End the server; what it forked goes on."""
        self._connection.close()
        self._process.kill()
        self._process.wait()
        ended(self._process)

    def __del__(self) -> None:
        """End with the executor; where no process could be started there is none."""
        if hasattr(self, "_process"):
            self.close()


def serve() -> str:
    """Be the server, whose standard input is the connection. Returns in each process that it forks: the folder.

    The server itself exits when the runner closes the connection or is gone.
    """
    connection = socket.socket(fileno=os.dup(0))
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(connection, _MOST_BYTES, 2)
        except OSError:
            message, descriptors = b"", []
        if not message:
            sys.exit()
        try:
            forked = os.fork()
        except OSError:
            connection.send(b"0")
            forked = -1
        if forked == 0:
            folder = os.fsdecode(message)
            _become_child_of_runner(connection, folder, *descriptors)
            return folder
        for descriptor in descriptors:
            os.close(descriptor)
        if forked > 0:
            with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored
                os.waitpid(forked, 0)


def _become_child_of_runner(connection: socket.socket, folder: str, stdin: int, printed: int) -> None:
    """Fork once more, and end the process between: the system then gives this one to the runner, who adopts orphans."""
    between = os.getpid()
    try:
        forked = os.fork()
    except OSError:
        connection.send(b"0")
        os._exit(1)
    if forked:
        os._exit(0)
    while os.getppid() == between:
        time.sleep(0.001)
    os.setsid()
    os.dup2(stdin, 0)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.close(stdin)
    os.close(printed)
    setproctitle(f"{sys.executable} -m harness.trial {folder}")
    connection.send(str(os.getpid()).encode())
    connection.close()
