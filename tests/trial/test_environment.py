"""The machine is described, and set as the protocol says."""

from __future__ import annotations

import pytest
import torch

from harness.errors import MachineError
from harness.suite.schema import Protocol
from harness.trial import environment


def test_devices_that_are_there_and_not_there() -> None:
    """Auto and cpu always work; a CUDA device that torch does not see is an error of the machine."""
    assert environment.choose_device("cpu").type == "cpu"
    assert environment.choose_device("auto").type in {"cpu", "cuda"}
    with pytest.raises(MachineError, match="--device cuda:63"):
        environment.choose_device("cuda:63")


def test_the_protocol_sets_what_chance_would() -> None:
    """Threads, seed, TF32 and cudnn's search follow the protocol, and the description says so."""
    threads = torch.get_num_threads()
    try:
        environment.prepare(torch.device("cpu"), Protocol(tf32=False), threads=1, seed=5)
        first = torch.rand(3)
        environment.prepare(torch.device("cpu"), Protocol(tf32=False), threads=1, seed=5)
        assert torch.equal(torch.rand(3), first)
        said = environment.describe(torch.device("cpu"), cores=2, loader_workers=0)
        assert (said.device, said.threads, said.tf32, said.cudnn_benchmark) == ("cpu", 1, False, False)
        assert said.torch == torch.__version__
        assert said.cpu
    finally:
        torch.set_num_threads(threads)


@pytest.mark.gpu
def test_a_gpu_is_described() -> None:
    """Name, memory, driver, CUDA and cuDNN of a real device."""
    said = environment.describe(environment.choose_device("cuda"), cores=2, loader_workers=0)
    assert said.device_name
    assert said.device_memory_bytes
    assert said.cuda
