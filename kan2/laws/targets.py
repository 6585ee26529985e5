"""Several targets: each is searched by itself, and the fronts are joined into one.

A row of the joint front has a formula for each target. It begins with the simplest of each, and goes on, one formula at
a time, with the step that lowers the sum of squared errors most for the nodes that it adds: first up to the picks of
all targets, then beyond. So the pick of the whole is that of every target.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from kan2.core.data import Dataset
from kan2.discovery.progress import Reporter
from kan2.discovery.symbolic_report import SymbolicReport
from kan2.laws.discovery import Discovery
from kan2.laws.front.compiled import names_of_targets
from kan2.laws.front.front import Front, Row
from kan2.laws.front.lazy import pareto_of

Search = Callable[[Dataset, Mapping[str, Any], Reporter], Discovery]
# What is left of a search that was ended while another target was at work: approximations alone.
QUICK = {"work": 0.0, "networks": False, "templates": ()}


def for_each(
    data: Dataset, given: Mapping[str, Any], callbacks: Sequence[Callable[..., object]], search: Search
) -> Discovery:
    """Returns the laws of all targets as one.

    With n_jobs, and with neither `progress` nor callbacks, which live in this process, targets are searched at once.

    Args:
        data: with several targets.
        given: the options of `discover`, checked.
        callbacks: functions that are told, and may end the search.
        search: finds the law of one target.
    """
    names, parts = names_of_targets(data), _parts(data)
    n_jobs = given["n_jobs"] or 1
    if n_jobs != 1 and given["progress"] is None and not callbacks:
        from joblib import Parallel, delayed, effective_n_jobs  # slow to import, and seldom needed

        share = given["seconds"]
        share = None if share is None else share / ceil(len(parts) / effective_n_jobs(n_jobs))
        given = {**given, "seconds": share, "n_jobs": 1}
        parallel: Any = Parallel(n_jobs=n_jobs)
        jobs = (delayed(search)(p, given, Reporter(given["attempts"], None, (), n)) for p, n in zip(parts, names))
        return _joined(data, tuple(parallel(jobs)))
    found: list[Discovery] = []
    left = given["seconds"]
    for i, (part, name) in enumerate(zip(parts, names)):
        tell = Reporter(given["attempts"], given["progress"], callbacks, name)
        options = {**given, "seconds": None if left is None else left / (len(parts) - i)}
        if any(law.report.interrupted for law in found):
            tell, options = Reporter(given["attempts"], None, (), name), {**options, **QUICK}
        law = search(part, options, tell)
        found.append(law)
        left = None if left is None else max(0.0, left - tell.seconds)
    return _joined(data, tuple(found))


def _parts(data: Dataset) -> list[Dataset]:
    # Names of targets that have none count them, which y of a target alone would not.
    names = names_of_targets(data)
    tests = [None if data.y_test is None else data.y_test[:, [j]] for j in range(len(names))]
    return [replace(data, y=data.y[:, [j]], outputs=(names[j],), y_test=tests[j]) for j in range(len(names))]


def _joined(data: Dataset, laws: tuple[Discovery, ...]) -> Discovery:
    front = joint([law.front for law in laws], names_of_targets(data))
    report = SymbolicReport(front.pick.error)
    report.pareto, report.found = pareto_of(front, data), front.pick.is_law
    report.out_of_time = any(law.report.out_of_time for law in laws)
    report.interrupted = any(law.report.interrupted for law in laws)
    notes = tuple(f"{name}: {note}" for name, law in zip(names_of_targets(data), laws) for note in law.notes)
    return Discovery(front, data, report, parts=laws, notes=notes)


def joint(fronts: Sequence[Front], names: Sequence[str]) -> Front:
    """Returns one front of those of several targets, see the module.

    Args:
        fronts: one for each target.
        names: of the targets.
    """
    start, picked = [0] * len(fronts), [front.picked for front in fronts]
    last = [len(front) - 1 for front in fronts]
    before = list(_steps(fronts, start, picked))
    places = [*before, *list(_steps(fronts, picked, last))[1:]]
    rows = [_row([front[i] for front, i in zip(fronts, place)], names) for place in places]
    return Front(tuple(rows), len(before) - 1)


def _steps(fronts: Sequence[Front], start: Sequence[int], end: Sequence[int]) -> Iterator[tuple[int, ...]]:
    place = list(start)
    yield tuple(place)
    while place != list(end):

        def gain(j: int) -> float:
            here, there = fronts[j][place[j]], fronts[j][place[j] + 1]
            return (here.error**2 - there.error**2) / max(1, there.complexity - here.complexity)

        j = max((j for j in range(len(fronts)) if place[j] < end[j]), key=gain)
        place[j] += 1
        yield tuple(place)


def _row(rows: Sequence[Row], names: Sequence[str]) -> Row:
    return Row(
        formulas=tuple(row.formulas[0] for row in rows),
        complexity=sum(row.complexity for row in rows),
        error=float(np.sqrt(np.mean([row.error**2 for row in rows]))),
        description_length=sum(row.description_length for row in rows),
        evidence=tuple(f"{name}: {sentence}" for name, row in zip(names, rows) for sentence in row.evidence),
        is_exact=all(row.is_exact for row in rows),
        is_law=all(row.is_law for row in rows),
        numbers=tuple(number for row in rows for number in row.numbers),
    )
