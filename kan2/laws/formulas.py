"""The formulas of one target, as they are found: approximations, guesses, templates, and an exact law.

Each comes with its error on rows kept aside, and they meet on one front, see `kan2.laws.front.front`. Short
approximations come first, so that there is something to return whatever happens. Networks are none of its business.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
import sympy
import torch

from kan2.discovery.progress import Reporter
from kan2.interrupts import Interruptible, OutOfTime, time_limit
from kan2.laws import wanted
from kan2.laws.budget import budget, work_left
from kan2.laws.column import Column, Table
from kan2.laws.corrections import Correction, exact_corrections, short_corrections
from kan2.laws.dependence import depends
from kan2.laws.families.jumps import with_jumps_placed
from kan2.laws.forms import shortest
from kan2.laws.front.approximations import Approximation, approximations
from kan2.laws.front.front import Front, Row, gives_all, row_of, settled, shown
from kan2.laws.front.guesses import fitted_guesses
from kan2.laws.front.noise import FEWEST, neighbours_tell
from kan2.laws.front.polish import Form, values, with_single_numbers
from kan2.laws.noisy.search import NoisySearch
from kan2.laws.reductions.groups import group_reductions
from kan2.laws.samples import FEW, Samples
from kan2.laws.search import Candidate, find_law
from kan2.laws.templates.solve import solved
from kan2.laws.templates.template import Template

# Functions with a jump: where it is, the rows say no nearer than between two of them.
JUMPS = (sympy.Heaviside, sympy.floor, sympy.sign)
EXACT_SHARE = 0.6  # of the limit of seconds
# Seconds of a core at 3 GHz that the search for an exact law may work at most, see `kan2.laws.budget`: where a short
# formula leaves nothing but noise, and where the target does not depend on the columns.
NOISY_WORK, UNRELATED_WORK = 3.0, 1.0
# What is done for an exact law before it is asked whether there is noise, and in the search under noise. Where noise is
# not certain, that is short first, and what leaves little or has many numbers may be an approximation: an exact law is
# looked for.
QUICK_WORK, NOISE_WORK = 3.0, 20.0
SHORT_WORK, FIRST_WORK, UNSURE = 5.0, 30.0, 1e-3
OF_GUESSES = 0.1  # of the work, for the ratio of target and guess, and for their difference
CHOICES = 2  # of groups without units that are tried under noise
TELLING = 300  # rows from which on what a formula leaves of a law depends on the columns, see `kan2.laws.dependence`
# Rows below which dependence and noise can hardly be told, and the first law may be one of many: all that the search
# under noise has is tried, which is quick. Of ten lines of hydrogen 1000/sqrt(n) leaves what looks like noise.
SMALL, SMALL_WORK = 60, 10.0  # and what is done for an exact law then
SURE_WORK = 8.0  # that is done though there is a law, if a number of it might stand for what is not found yet
MANY = 3  # numbers with which a formula comes near to many others, so that the search goes on
ALSO = 5  # rows of the shortest descriptions whose numbers are made simple though others are both simpler and nearer
ROUNDS = 3  # of leaving the front and making its numbers simple


class Formulas:
    """What one call of `discover` knows of one target.

    Args:
        samples: the rows.
        given: the options of `discover`, checked.
        tell: told of what is found.
        has_width: whether a network of a width is asked for, so that formulas are told by that alone.

    Attributes:
        rows: the formulas with their errors.
        depends: whether the target depends on the columns at all.
        notes: about templates of whose form no exact formula was found.
    """

    def __init__(self, samples: Samples, given: Mapping[str, Any], tell: Reporter, has_width: bool = False) -> None:
        self.samples, self.given, self.tell, self.is_quiet = samples, given, tell, has_width
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self.depends = True
        self._settled: set[Row] = set()
        self._told: set[Row] = set()
        self._seen: set[sympy.Expr] = set()

    def look(self, block: Interruptible) -> None:
        """Looks for formulas without networks.

        Args:
            block: told as soon as there is something to return.
        """
        samples, templates = self.samples, self.given["templates"]
        found = approximations(samples.rest)
        # Who asks for a form wants no others, unless there is none.
        self._approximate(islice(found, 1) if templates else found, block)
        unknown = [template for template in templates if template.calls]
        known, seed = [one for one in templates if not one.calls], self.given["seed"]
        guesses = list(fitted_guesses(self.given["guesses"], samples.rest, seed))
        for candidate in guesses:
            self.add(candidate.expression, (candidate.evidence,), candidate.is_fitted)
        for template in known:
            for candidate in fitted_guesses([template.expression], samples.rest, seed):
                self.add(candidate.expression, (f"the template {template.text}",), candidate.is_fitted)
        for candidate in guesses:
            self._add_corrected(candidate, short_corrections(candidate.expression, samples.rest))
        if unknown:
            self._solve(unknown)
        if templates and not any(row.formulas[0].free_symbols for row in self.rows):
            self._approximate(found, block)
        self.settle()
        if self.is_quiet or templates or len(samples) < FEWEST:
            return
        self.depends = depends(samples.X, samples.y)
        # As many columns as rows explain any target by a sum of them.
        if not self.given["work"] or len(samples) <= samples.X.shape[1]:
            return
        options = {"seed": self.given["seed"], "work": OF_GUESSES * self.given["work"]}
        for candidate in guesses:
            if self.is_exact or self.leaves_noise:
                break
            self._add_corrected(candidate, exact_corrections(candidate.expression, samples.rest, **options))
            self.settle()
        if not self.is_exact:
            self._find()

    def _find(self) -> None:
        """Looks for an exact law and for one under noise, whichever is likelier first."""
        # Most exact laws are found quickly.
        is_small = len(self.samples) < SMALL
        if self._find_exact(QUICK_WORK) or not (self.depends or is_small):
            return
        self.tell("looking for a law under noise")
        search = self._noisy_search()
        candidates = search.laws()
        if search.is_noisy:
            # Nothing would end the search for a law that leaves nothing.
            self._find_noisy(candidates, NOISE_WORK)
        elif is_small:
            if not self._find_exact(SMALL_WORK):
                self._find_noisy(candidates, NOISE_WORK)
        else:
            self._find_where_noise_is_unsure(candidates)

    def _find_where_noise_is_unsure(self, candidates: Iterator[list[Approximation]]) -> None:
        self._find_noisy(candidates, SHORT_WORK)
        if self.is_exact or (self._is_sure and self._pick.error > UNSURE) or self._find_exact(FIRST_WORK):
            return
        if not self._is_sure:
            self._find_noisy(candidates, NOISE_WORK)
        if not self._is_sure:
            self._find_exact(self.given["work"])

    @property
    def _is_sure(self) -> bool:
        # With many numbers a formula comes near to many others.
        return self._pick.is_law and len(self._pick.numbers) < MANY

    def _find_exact(self, work: float) -> bool:
        if (law := self._exact(work)) is None:
            return False
        self.add(law.expression, law.evidence)
        self.settle()
        return True

    @property
    def _table(self) -> Table:
        rest = self.samples.rest
        return Table(tuple(Column(rest.X[:, j], one) for j, one in enumerate(rest.symbols)), rest.y)

    def _noisy_search(self) -> NoisySearch:
        dimensions = self.samples.dimensions
        groups = () if dimensions is None else group_reductions(self._table, dimensions)
        with budget(min(NOISE_WORK, self.given["work"])):
            return NoisySearch(self.samples.rest, islice(groups, CHOICES))

    def _find_noisy(self, found: Iterator[list[Approximation]], work: float) -> None:
        """Adds laws that leave noise, until there is one or the work is done."""
        most = min(NOISE_WORK, self.given["work"])
        with budget(most):
            for some in found:
                for candidate in some:
                    if wanted.is_of_library(candidate.expression, self.given["library"]):
                        self.add(candidate.expression, tuple(candidate.evidence.split("; ")))
                if some:
                    self.settle()
                    if self.is_exact or (self._is_sure and len(self.samples) >= SMALL):
                        work = min(work, SURE_WORK) if self._pick.numbers else 0.0
                if most - work_left() > work:
                    break
        if self._pick.is_law:
            self.add(shortest(self._pick.formulas[0], self._table), self._pick.evidence)
            self.settle()

    @property
    def _pick(self) -> Row:
        return Front.of(self.rows, None, self.samples.floor).pick

    def _approximate(self, found: Iterable[Approximation], block: Interruptible) -> None:
        for candidate in found:
            if not wanted.is_of_library(candidate.expression, self.given["library"]):
                continue
            is_fitted = candidate.is_fitted and (self.samples.is_linear or not candidate.expression.free_symbols)
            self.add(candidate.expression, (candidate.evidence,), is_fitted)
            block.has_result = True

    def _solve(self, templates: Sequence[Template]) -> None:
        """Looks for the unknown functions of templates, of several at once where there are processes for it."""
        options = {name: self.given[name] for name in ("seed", "work", "library")}
        for template in templates:
            self.tell(f"looking for the functions of {template.text}")
        n_jobs = self.given["n_jobs"] or 1
        if n_jobs == 1 or len(templates) == 1:
            found = [solved(template, self.samples.rest, **options) for template in templates]
        else:
            from joblib import Parallel, delayed  # slow to import, and seldom needed

            parallel: Any = Parallel(n_jobs=n_jobs)
            found = list(parallel(delayed(solved)(one, self.samples.rest, **options) for one in templates))
        for one in found:
            for solution in one.solutions:
                self.add(solution.expression, solution.evidence)
            if not any(row.error <= self.samples.floor for row in self.rows):
                self.notes.append(one.note)

    @property
    def is_exact(self) -> bool:
        """Whether a law without noise is among the rows."""
        return any(row.is_exact for row in self.rows)

    def _add_corrected(self, guess: Approximation, found: Iterable[Correction]) -> None:
        for correction in found:
            if wanted.is_of_library(correction.expression, self.given["library"]):
                self.add(correction.expression, (guess.evidence, *correction.evidence))

    def add(self, expression: sympy.Expr, evidence: tuple[str, ...], is_fitted: bool = False) -> None:
        """Adds a formula with its numbers fitted, unless it is known already or not finite.

        Args:
            expression: the formula.
            evidence: where it comes from.
            is_fitted: whether its numbers are those of least squares already.
        """
        if self.samples.dimensions is not None:
            if (right := self.samples.dimensions.repaired(expression)) is None:
                return
            expression = right
        expression = with_jumps_placed(with_single_numbers(expression), self.samples)
        key = Form.of(expression).expression
        if key in self._seen or (row := row_of(expression, evidence, self.samples, is_fitted=is_fitted)) is None:
            return
        self._seen.add(key)
        best = min((other.error for other in self.rows), default=np.inf)
        self.rows.append(row)
        if not self.is_quiet and row.error < best and row.error > self.samples.floor:
            self.tell.law(shown(row.formulas), row.error, False)

    def settle(self) -> None:
        """Leaves what is on the front, ready for use."""
        if not self.rows:
            return
        floor = self.samples.floor
        for _ in range(ROUNDS):
            front = Front.of(self.rows, None, floor)
            # A formula may become shorter by its simple numbers than one that is shorter now, and as near.
            shortest_of_all = sorted(self.rows, key=lambda row: row.description_length)[:ALSO]
            self.rows = list(dict.fromkeys((*front, *shortest_of_all)))
            if all(row in self._settled for row in self.rows):
                break
            constants = self.given["constants"]
            self.rows = [row if row in self._settled else settled(row, self.samples, constants) for row in self.rows]
            self._settled |= set(self.rows)
        pick = self._pick
        if pick.is_law and not self.is_quiet and pick not in self._told:
            self._told.add(pick)
            self.tell.law(shown(pick.formulas), pick.error, True)

    def settle_in_time(self) -> None:
        """Does so, unless the time is over: whoever called within a limit gets the numbers as they are."""
        with suppress(OutOfTime):
            self.settle()

    def _exact(self, work: float) -> Candidate | None:
        self.tell("looking for an exact law")
        samples = self.samples
        rest = samples if len(samples) < FEW else samples.rest
        names = tuple(one.name for one in samples.symbols)
        options = {"seed": self.given["seed"], "dimensions": samples.dimensions}
        seconds, found = self.given["seconds"], None
        # Where a short formula leaves nothing but noise, there is no law without.
        work = min(work, self.given["work"])
        if not self.depends:
            work = min(work, UNRELATED_WORK)
        elif self.leaves_noise and self._is_sure:
            work = min(work, NOISY_WORK)
        with Interruptible() as block, np.errstate(all="ignore"):
            block.has_result = True
            with time_limit(None if seconds is None else EXACT_SHARE * seconds), budget(work):
                found = find_law(rest.X, rest.y, names, **options)
            # Between which rows a jump is, all rows tell best.
            if found is not None and found.expression.has(*JUMPS) and not gives_all(found.expression, samples):
                with time_limit(None if seconds is None else EXACT_SHARE * seconds), budget(work):
                    found = find_law(samples.X, samples.y, names, **options) or found
        if found is None or not wanted.is_of_library(found.expression, self.given["library"]):
            return None
        return found

    @property
    def is_done(self) -> bool:
        """Whether there is nothing that a network could be trained for."""
        if self.given["templates"] or len(self.samples) < FEWEST or self.is_exact or self.leaves_noise:
            return True
        return not (self.depends or self._explains)

    @property
    def _explains(self) -> bool:
        # Whether a short formula describes the target better than a constant does.
        return bool(Front.of(self.rows).pick.formulas[0].free_symbols)

    @property
    def leaves_noise(self) -> bool:
        """Whether the pick is a law with noise, and structure would have shown if there were some."""
        samples, pick = self.samples, Front.of(self.rows).pick
        if not pick.is_law:
            return False
        left = samples.off(values(pick.formulas[0], samples.symbols, samples.X))
        if len(samples) >= TELLING and not depends(samples.X, left):
            return True
        y = samples.measured(samples.y)
        return neighbours_tell(torch.from_numpy(samples.X.copy()), torch.from_numpy(y[:, None].copy()))
