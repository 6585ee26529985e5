"""Budgets of work: they end quietly, nest, and are the same on every machine."""

import numpy as np
import pytest

from kan2.interrupts import OutOfTime, time_limit
from kan2.laws.budget import CALL, Exhausted, budget, spend


def calls_within(seconds: float, rows: int = 100, columns: int = 10) -> int:
    n = 0
    with budget(seconds):
        while n < 100_000:
            spend(rows, columns)
            n += 1
    return n


def test_work_without_a_budget_has_no_limit():
    for _ in range(1000):
        spend(10**6, 10**3)


def test_a_budget_ends_quietly_after_its_work():
    n = calls_within(1.0)
    assert 1 < n < 1 / CALL
    assert calls_within(2.0) == pytest.approx(2 * n, abs=1)


def test_larger_matrices_cost_more():
    small, large = calls_within(1.0, 100, 10), calls_within(1.0, 500, 150)
    assert large < small / 10
    assert calls_within(1.0, 10, 100) < calls_within(1.0, 1000, 1)


def test_the_same_work_is_done_every_time():
    assert len({calls_within(0.1) for _ in range(5)}) == 1


def test_no_work_fits_in_nothing():
    assert calls_within(0.0) == 0


def test_many_calls_cost_what_they_cost_one_by_one():
    left = []
    for calls, times in ((50, 1), (1, 50)):
        n = 0
        with budget(0.5):
            for _ in range(times):
                spend(100, 10, calls)
            while True:
                spend(100, 10)
                n += 1
        left.append(n)
    assert left[0] == pytest.approx(left[1], abs=1)


def test_an_inner_budget_ends_and_the_outer_work_goes_on():
    reached = []
    with budget(1.0):
        with budget(0.1):
            while True:
                spend(100, 10)
        reached.append("after the inner block")
        spend(100, 10)
        reached.append("work of the outer block")
    assert len(reached) == 2


def test_work_of_an_inner_budget_is_work_of_the_outer_one():
    alone, n = calls_within(1.0), 0
    with budget(1.0):
        with budget(0.5):
            while True:
                spend(100, 10)
        while True:
            spend(100, 10)
            n += 1
    assert n == pytest.approx(alone / 2, rel=0.05)


def test_an_inner_budget_cannot_be_larger_than_what_is_left():
    n, after = 0, False
    with budget(0.1):
        with budget(100.0):
            while True:
                spend(100, 10)
                n += 1
        after = True
    assert n == calls_within(0.1)
    assert not after  # the outer budget is spent: its block ends as well


def test_an_inner_budget_that_ends_normally_hands_back_the_rest():
    n = 0
    with budget(1.0):
        for _ in range(10):
            with budget(0.5):
                spend(100, 10)
        while True:
            spend(100, 10)
            n += 1
    assert n == calls_within(1.0) - 10


def test_a_spent_budget_does_not_linger():
    calls_within(0.01)
    assert calls_within(0.01) == calls_within(0.01)
    spend(10**6, 10**3)


def test_other_exceptions_pass_and_leave_no_budget_behind():
    with pytest.raises(ValueError, match="of the work"), budget(1.0):
        raise ValueError("of the work")
    spend(10**6, 10**3)


def test_exhausted_of_no_budget_is_not_swallowed_by_an_unlimited_block():
    with budget(np.inf):
        for _ in range(100):
            spend(10**6, 10**3)
    with pytest.raises(Exhausted):
        raise Exhausted


def test_time_that_is_over_ends_budgets_too():
    with pytest.raises(OutOfTime), time_limit(0.0), budget(100.0):
        spend(1, 1)
