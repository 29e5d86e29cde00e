"""Trials as actors of a Ray cluster: Ray places them by the GPUs or cores that they ask for; the rest stays ours.

Each attempt is an actor of its own, with a process of the trial inside, started anew. An actor outlives the runner: one
that is started again finds it by its name. Ray restarts and retries nothing, for that is decided by what lies in the
results folder, which every node has to see under the same path.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.executors.base import LostError
from harness.executors.environment import child_environment
from harness.executors.ray_worker import Worker
from harness.executors.slots import Slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.store.job import Job
    from harness.store.paths import AttemptFolder

_NAMESPACE = "detection-harness"
_TRIAL = ("-m", "harness.trial")
_KEEPALIVE_MS = "5000"  # a node that stands still is noticed in half a minute, where Ray's own take seven
_ANSWER_S = 5.0


@dataclass(slots=True, kw_only=True)
class RayExecutor:
    """Runs each attempt in an actor of a Ray cluster.

    Attributes:
        address: of the cluster; `local` starts one on this machine, for as long as this process lives.
        working_dir: a folder that Ray brings to each node, in place of a path that all of them see.
        poll_s: seconds between two polls.
        program: python's arguments, before the folder; a test puts a script here.
    """

    address: str = "local"
    working_dir: str | None = None
    poll_s: float = 0.5
    program: tuple[str, ...] = _TRIAL
    _ray: Any = field(default=None, repr=False)
    _race_node: str = ""

    def slots(self, device: str, cpu_slots: int) -> tuple[Slot, ...]:
        """Return as many places as the cluster has GPUs; without any, or on the CPU, `cpu_slots`.

        Raises:
            UsageError: there is no cluster, or not a GPU that was asked for.
        """
        nodes = [node["Resources"] for node in self._connected().nodes() if node["Alive"]]
        cores = [int(node.get("CPU", 0)) for node in nodes]
        n_gpus = sum(int(node.get("GPU", 0)) for node in nodes)
        if device == "cpu" or (device == "auto" and not n_gpus):
            # As many as each slot finds on one node: a slot with more would never have a place.
            fits = [n for n in range(1, max(cores, default=0) + 1) if sum(core // n for core in cores) >= cpu_slots]
            if not fits:
                raise UsageError(
                    f"--cpu-slots {cpu_slots}: the Ray cluster {self.address} has {sum(cores)} cores; give fewer slots"
                )
            return (Slot(device="cpu", threads=fits[-1]),) * cpu_slots
        if not n_gpus:
            raise UsageError(f"--device {device}: the Ray cluster {self.address} has no GPU")
        if cpu_slots > 1 or device.startswith("cuda:"):
            raise UsageError(
                "--executor ray: runs one trial on each GPU of the cluster; leave --cpu-slots and cuda:N out"
            )
        return (Slot(device="cuda:0", threads=max(1, sum(cores) // n_gpus)),) * n_gpus

    def submit(self, job: Job, folder: AttemptFolder) -> RayJob:
        """Ask for an actor that runs the attempt; it starts when there is room for it.

        Raises:
            UsageError: there is no cluster.
        """
        ray = self._connected()
        needs: dict[str, Any] = {"num_cpus": job.threads}
        if job.device != "cpu":
            needs = {"num_gpus": 1, "num_cpus": 0}
        if job.race is not None:
            needs["scheduling_strategy"] = self._one_node("CPU" if job.device == "cpu" else "GPU")
        importable = {"PYTHONPATH": child_environment(job.threads)["PYTHONPATH"]}
        actor = (
            ray.remote(Worker)
            .options(
                name=_name(folder),
                namespace=_NAMESPACE,
                lifetime="detached",
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=4,  # it is asked to stop while it runs
                runtime_env={} if self.working_dir else {"env_vars": importable},
                **needs,
            )
            .remote(self.program, str(folder.path.resolve()), job.threads)
        )
        return RayJob(ray, actor)

    def _one_node(self, resource: str) -> Any:
        """Return where all turns of a race run: entrants on different machines would be no race."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        nodes = [node for node in self._connected().nodes() if node["Alive"] and node["Resources"].get(resource)]
        if self._race_node not in {node["NodeID"] for node in nodes} and nodes:
            self._race_node = min(node["NodeID"] for node in nodes)
        return NodeAffinitySchedulingStrategy(node_id=self._race_node, soft=False)

    def find(self, folder: AttemptFolder) -> RayJob | None:
        """Return the attempt of this folder, if its actor lives."""
        ray = self._connected()
        try:
            actor = ray.get_actor(_name(folder), namespace=_NAMESPACE)
        except ValueError:
            return None
        return RayJob(ray, actor)

    def _connected(self) -> Any:
        """Return the module of Ray, connected.

        Raises:
            UsageError: it is not installed, or there is no cluster at that address.
        """
        if self._ray is None:
            try:
                import ray
            except ImportError as error:
                raise UsageError("--executor ray: needs ray; give: pip install 'detection-harness[ray]'") from error
            for name in ("RAY_grpc_client_keepalive_time_ms", "RAY_grpc_client_keepalive_timeout_ms"):
                os.environ.setdefault(name, _KEEPALIVE_MS)
            environment = {"working_dir": self.working_dir} if self.working_dir else {}
            on_sigterm = signal.getsignal(signal.SIGTERM)
            try:
                if not ray.is_initialized():  # by another run of this process, or by the user
                    _reach(self.address)
                    ray.init(
                        address=self.address,
                        namespace=_NAMESPACE,
                        runtime_env=environment,
                        log_to_driver=False,
                        logging_level=logging.WARNING,
                        include_dashboard=False if self.address == "local" else None,
                    )
            except (OSError, RuntimeError, ValueError) as error:
                raise UsageError(f"--ray-address {self.address}: {error}") from error
            finally:
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGTERM, on_sigterm)  # in whose place Ray puts its own
            self._ray = ray
        return self._ray


class RayJob:
    """An attempt in an actor."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self._started, self._ended = actor.started.remote(), actor.wait.remote()  # references to answers to come
        self._code: int | None = None
        self._runs = False

    def waits(self) -> bool:
        """Return whether the cluster has had no room for it yet."""
        if not self._runs:
            self._runs = bool(self._ray.wait([self._started], timeout=0)[0])
        return not self._runs

    def poll(self) -> int | None:
        """Return the exit code of the attempt's process; None while it runs.

        Raises:
            LostError: the worker or its node is gone.
        """
        if self._code is None and self._ray.wait([self._ended], timeout=0)[0]:
            try:
                self._code = int(self._ray.get(self._ended))
            except self._ray.exceptions.RayError as error:
                self._kill()  # it may only be cut off
                self._code = -9
                raise LostError(f"its Ray worker is gone: {_first_line(error)}") from error
            self._kill()
        return self._code

    def cancel(self, *, grace_s: float) -> None:
        """Ask the process to stop, wait up to `grace_s` seconds, then end it with its worker."""
        if self._code is not None:
            return
        if grace_s and not self.waits():
            self._ask(lambda: self._actor.stop.remote(grace_s), grace_s + _ANSWER_S)
        self._kill()
        self._code = -9

    def dump_stacks(self) -> None:
        """Have each of its processes write the stacks of its threads into the log."""
        self._ask(self._actor.dump_stacks.remote, _ANSWER_S)

    def _ask(self, question: Callable[[], Any], seconds: float) -> None:
        """Ask the worker for something, and wait for its answer; one that is gone gives none."""
        with contextlib.suppress(self._ray.exceptions.RayError, TimeoutError):
            self._ray.get(question(), timeout=seconds)

    def _kill(self) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor, no_restart=True)


def _reach(address: str) -> None:
    """Try to reach HOST:PORT, which Ray itself would try for minutes; other kinds of addresses are left to Ray.

    Raises:
        OSError: nobody answers there.
    """
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()


def _name(folder: AttemptFolder) -> str:
    """Return the name of an attempt's actor: of its place in the results, which all nodes see under one path."""
    return str(Path(folder.path).resolve())


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
