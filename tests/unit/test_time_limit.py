"""A limit of time ends work as Ctrl-C does, and the innermost block keeps what it has."""

import time

import pytest

from kan2 import MultKAN, sample_function
from kan2.interrupts import Interruptible, OutOfTime, check_time, deadline, is_late, time_limit

DATA = sample_function("exp(sin(pi*x) + y**2)", {"x": (-1, 1), "y": (-1, 1)}, n=200, n_test=0)


def test_the_innermost_block_with_a_result_keeps_it_and_the_work_goes_on():
    with Interruptible() as outer, time_limit(0.0):
        outer.has_result = True
        with Interruptible() as inner:
            inner.has_result = True
            with Interruptible() as empty:
                check_time()
        went_on = True
    assert went_on
    assert inner.interrupted
    assert inner.out_of_time
    assert not empty.interrupted
    assert not outer.interrupted


def test_the_earlier_of_two_limits_holds_and_ends_with_its_block():
    with time_limit(100.0):
        first = deadline()
        with time_limit(1000.0):
            assert deadline() == first
        with time_limit(0.0):
            assert is_late()
            with pytest.raises(OutOfTime):
                check_time()
        check_time()
    assert deadline() == float("inf")


def test_ctrl_c_within_a_limit_is_no_end_of_time():
    with Interruptible() as block, time_limit(100.0):
        block.has_result = True
        raise KeyboardInterrupt
    assert block.interrupted
    assert not block.out_of_time


@pytest.mark.parametrize("verb", ["auto_prune", "auto_symbolic"])
def test_searches_end_within_their_time_and_leave_the_network_alone(verb):
    model = MultKAN([2, 4, 1], grid=5)
    model.fit(DATA, steps=5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start = time.perf_counter()
    with time_limit(0.3):
        found = getattr(model, verb)()
    assert time.perf_counter() - start < 3
    assert not found.report.interrupted
    assert all(bool((before[name] == value).all()) for name, value in model.state_dict().items())


def test_fit_ends_with_the_limit_around_it():
    model = MultKAN([2, 4, 1], grid=5)
    with time_limit(0.2):
        history = model.fit(DATA, steps=100_000, tolerance=0)
    assert history.message == "reached the limit of seconds"
    assert history.seconds < 3
