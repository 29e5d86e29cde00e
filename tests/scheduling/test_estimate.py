"""What a night will take: by trials that ran, else by rehearsals; the order, and the bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.scheduling import estimate
from harness.store.job import Preflight
from harness.suite.expand import configuration_key
from tests.store.make import make_attempt, make_record, make_trial

FASTER = "fasterrcnn_mobilenet_v3_large_fpn"

REHEARSAL = Preflight(
    where="here",
    startup_s=5.0,
    step_s=0.5,
    evaluation_s=0.1,
    steps=100,
    evaluations=40,
    images=20,
    state_bytes=1000,
    weights_bytes=400,
    accumulate=1,
)


def test_a_trial_takes_its_steps_evaluations_and_passes() -> None:
    """Start + steps + evaluations + what the protocol times, each pass at least its seconds."""
    protocol = replace(make_trial().protocol, rounds=3, latency_images=20, latency_s=60.0, throughput_s=0.0, warmup=10)
    measured = 60.0 + 2.0 + 3 * 20 * 0.1 + (10 + 90) * 0.1
    assert estimate.foreseen(REHEARSAL, protocol).total_s() == pytest.approx(5 + 50 + 4 + measured)
    two = replace(protocol, variants=("compile", "onnxruntime"))
    assert estimate.foreseen(REHEARSAL, two).total_s() == pytest.approx(5 + 50 + 4 + 3 * measured + 2 * (5 + 20 * 0.1))


def test_what_ran_tells_more_than_a_rehearsal() -> None:
    """Another seed's wall time, without its rehearsal, before the rehearsal; unknown ones are missing."""
    ran, other = make_trial(seed=0), make_trial(FASTER, seed=0)
    done = replace(
        make_record(ran),
        attempts=(make_attempt("preflight_passed", None, wall_s=9.0), make_attempt("succeeded", None, wall_s=70.0)),
    )
    trials = [make_trial(seed=1), make_trial(FASTER, seed=1), other]
    found = estimate.expected_s(trials, {}, [done])
    assert found == {trials[0].trial_id: 70.0}
    found = estimate.expected_s(
        trials, {configuration_key(other): REHEARSAL, configuration_key(ran): REHEARSAL}, [done]
    )
    assert found[trials[0].trial_id] == 70.0
    assert found[trials[1].trial_id] == found[other.trial_id] == estimate.foreseen(REHEARSAL, other.protocol).total_s()


def test_one_seed_of_everything_first_and_shortest_first() -> None:
    """Within a seed by length, unknown last; no second seed before every first."""
    trials = [make_trial(name, seed=seed) for seed in (7, 0) for name in ("retinanet_resnet50_fpn", FASTER)]
    slow, fast, slow_again, fast_again = trials
    expected = {slow.trial_id: 9.0, fast.trial_id: 2.0, fast_again.trial_id: 2.0}
    assert estimate.in_order(trials, expected) == (fast, slow, fast_again, slow_again)
    assert estimate.in_order(trials, {}) == tuple(trials)


def test_bytes_are_weights_detections_and_three_checkpoints() -> None:
    """As rehearsed; without a rehearsal from the catalogue's number of parameters."""
    trial = make_trial()
    rehearsed = {configuration_key(trial): REHEARSAL}
    rows = REHEARSAL.images * trial.protocol.detections
    assert estimate.needed_bytes([trial], rehearsed) == 400 + rows * 24 + 3 * 1000
    assert estimate.needed_bytes([trial, trial], rehearsed) == 2 * (400 + rows * 24) + 3 * 1000
    parameters = 34_014_999
    assert estimate.needed_bytes([trial], {}) == 4 * parameters + 3 * 2 * 4 * parameters
