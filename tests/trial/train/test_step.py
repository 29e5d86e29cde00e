"""A step trains what the family gives it to train, reads the device once, and leaves an overflow to fp16's scaler."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from harness.errors import DivergedError
from harness.suite.schema import Hyperparameters, Precision
from harness.trial.inputs.loader import Batch
from harness.trial.train.step import TrainStep
from tests.trial.models.fakes import IncapableDetector

CPU = torch.device("cpu")


class _TwoRates(IncapableDetector):
    """Weights of 1 with gradients of 1: one as the suite says, one at a tenth of the rate, one that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("fast", "slow", "frozen"):
            self.module.register_parameter(name, nn.Parameter(torch.tensor(1.0)))

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {"loss": sum(self.module.parameters(), start=torch.zeros(()))}

    def parameter_groups(self, hyperparameters: Hyperparameters) -> list[dict[str, Any]]:
        assert hyperparameters.lr is not None
        slow = {"params": [self.module.slow], "lr": hyperparameters.lr / 10, "weight_decay": 0.0}
        return [{"params": [self.module.fast]}, slow]


def test_groups_have_their_own_rates() -> None:
    """The suite's rate and decay hold where a group has none; the schedule scales both; the rest stays as it is."""
    detector = _TwoRates()
    h = Hyperparameters(epochs=1, lr=0.1, weight_decay=0.5, momentum=0.0, warmup_steps=0, milestones=())
    step = TrainStep(detector, h, device=CPU, epoch_steps=[1] * 4)
    losses = step.step([(torch.zeros(3, 1, 1), {"labels": torch.zeros(0)})], "here")
    assert losses == {"loss": 3.0}
    weights = {name: weight.item() for name, weight in detector.module.named_parameters()}
    assert weights == pytest.approx({"fast": 1 - 0.1 * 1.5, "slow": 1 - 0.01, "frozen": 1.0})


class _Product(IncapableDetector):
    """A weight of 1, and two parts of the loss: the weight × the sum of the images' first pixels, and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.module.register_parameter("weight", nn.Parameter(torch.tensor(1.0)))

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        pixels = torch.stack([image[0, 0, 0] for image in images]).mean()
        return {"product": self.module.get_parameter("weight") * pixels, "constant": torch.tensor(0.5)}

    @property
    def weight(self) -> float:
        return float(self.module.get_parameter("weight").detach())


def _batch(*values: float) -> Batch:
    return [(torch.full((3, 1, 1), value), {"labels": torch.zeros(0)}) for value in values]


def _step(detector: _Product, precision: Precision = "fp32", accumulate: int = 1) -> TrainStep:
    h = Hyperparameters(
        epochs=1, lr=0.1, weight_decay=0.0, momentum=0.9, warmup_steps=0, milestones=(), precision=precision,
        accumulate=accumulate,
    )  # fmt: skip
    return TrainStep(detector, h, device=CPU, epoch_steps=[100] * 4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_losses_are_read_once_after_all_backward_passes(
    precision: Precision, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One copy to the host whatever the number of parts, behind the last backward pass and before the update."""
    happened: list[str] = []

    def note(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def noted(*arguments: Any, **named: Any) -> Any:
            happened.append(name)
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, noted)

    detector = _Product()
    step = _step(detector, precision, accumulate)
    note(torch.autograd, "backward")
    step.optimizer.register_step_pre_hook(lambda *_: happened.append("step"))
    for name in ("tolist", "item", "cpu", "numpy", "__float__", "__bool__", "__int__"):
        note(Tensor, name)
    losses = step.step(_batch(1.0, 2.0, 3.0, 6.0), "here")
    monkeypatch.undo()
    assert happened == ["backward"] * accumulate + ["tolist", "step"]
    assert losses == {"product": 3.0, "constant": 0.5}
    assert detector.weight == pytest.approx(1 - 0.1 * 3.0)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_that_is_not_finite_changes_no_weight(precision: Precision) -> None:
    """The error comes before the update, with the step and each part of the loss."""
    detector = _Product()
    with pytest.raises(DivergedError, match=r"^the loss is not finite at step 3: product inf, constant 0.5; lower lr"):
        _step(detector, precision, accumulate=2).step(_batch(1.0, math.inf), "step 3")
    assert detector.weight == 1.0


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_momenta_begin_at_nothing_after_an_overflow(optimizer: Literal["sgd", "adamw"]) -> None:
    """The first step that is not skipped moves the weights as if it were the first, whatever lay in memory before."""

    def moved(overflows: int) -> Tensor:
        detector = _Product()
        detector.module.register_parameter("many", nn.Parameter(torch.ones(1000)))
        many: Any = detector.module.get_parameter("many")
        h = Hyperparameters(
            epochs=1, lr=0.1, weight_decay=0.01, optimizer=optimizer, warmup_steps=0, milestones=(), precision="fp16"
        )
        step = TrainStep(detector, h, device=CPU, epoch_steps=[100])
        detector.losses = lambda images, _targets: {"many": many.sum() * images[0][0, 0, 0]}  # type: ignore[method-assign,assignment]
        for value in [math.inf] * overflows + [1.0, 1.0]:
            used = [torch.full((1000,), 7e5) for _ in range(20)]
            del used
            step.step(_batch(value), "here")
        weights: Tensor = many.detach()
        return weights

    assert torch.equal(moved(2), moved(0))


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_fp16_skips_a_step_that_overflows(value: float, caplog: pytest.LogCaptureFixture) -> None:
    """No weight changes, the scaler halves its factor, the log says so, and the next step trains as ever."""
    detector = _Product()
    step = _step(detector, "fp16")
    assert step.step(_batch(value), "step 1") is None
    assert detector.weight == 1.0
    assert step.state()["scaler"]["scale"] == 2.0**15
    assert "step 1: the loss overflowed in fp16, so the step is skipped" in caplog.text
    assert step.step(_batch(2.0), "step 2") == {"product": 2.0, "constant": 0.5}
    assert detector.weight == pytest.approx(1 - 0.1 * 2.0)


def _overflow(step: TrainStep, values: list[float]) -> int:
    """Take steps until training is given up, and return the number of the step that ends it; 0 if none does."""
    for number, value in enumerate(values, 1):
        try:
            step.step(_batch(value), f"step {number}")
        except DivergedError as error:
            assert f"in fp16 in 20 steps in a row, the last at step {number}: product" in str(error)  # noqa: PT017
            assert "use precision: bf16, lower lr" in str(error)  # noqa: PT017
            return number
    return 0


def test_fp16_gives_up_when_overflows_persist() -> None:
    """After twenty losses in a row that are not finite; a good step between them begins the count anew."""
    assert _overflow(_step(_Product(), "fp16"), [1.0, *[math.inf] * 30]) == 21
    assert _overflow(_step(_Product(), "fp16"), [*[math.inf] * 19, 1.0, *[math.nan] * 19, 1.0]) == 0


def test_fp16_gives_up_when_gradients_persist_to_overflow() -> None:
    """Finite losses whose gradients are not: known one step later, so at the twenty-first step."""
    detector = _Product()
    weight: Any = detector.module.get_parameter("weight")
    weight.register_hook(lambda gradient: gradient * math.inf)
    assert _overflow(_step(detector, "fp16"), [1.0] * 30) == 21
    assert detector.weight == 1.0


def test_the_count_of_overflows_is_in_the_state() -> None:
    """Resumed after any number of them, training is given up at the same step."""
    for done in (1, 10, 19):
        first, second = (_step(_Product(), "fp16") for _ in range(2))
        assert _overflow(first, [math.inf] * done) == 0
        second.restore(first.state())
        assert _overflow(second, [math.inf] * 30) == 20 - done
