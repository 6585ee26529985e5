"""The benchmark `discovery`: what counts as exact, how runs are kept and gone on with, what the section says."""

import json
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sympy

import benchmarks.__main__
import kan2
from benchmarks import _discovery_cache, _discovery_operon, discovery
from benchmarks._discovery_cache import collect, key, stored, tag_of_packages
from benchmarks._discovery_judge import judge, judge_noisy, values
from benchmarks._discovery_operon import fit_constants, power_of_ten
from benchmarks._discovery_run import LATE, Job, answer, attempt, processor_limit
from benchmarks._discovery_section import DIGITS, reasons, section
from benchmarks.discovery import NO_OPERON, options, wanted
from case_studies._laws import ROWS, laws
from kan2.expressions.parse import parse_expression
from kan2.laws.front.polish import Fit, Form
from kan2.laws.samples import samples_of

# ---- what counts as exact


@pytest.mark.parametrize("of", ROWS)
def test_every_law_passes_for_itself(of):
    for law in laws(of):
        found = judge(law.expression, law)
        assert found.exact, law.name
        assert found.error < 1e-9


def one(name):
    return next(law for law in laws("feynman_si") if law.name == name)


@pytest.mark.parametrize("name", ["I.10.7", "I.39.22", "B.8 Compton scattering"])
def test_a_constant_off_by_one_in_ten_thousand_is_no_law(name):
    law = one(name)
    numbers = [n for n in law.expression.atoms(sympy.Number) if not 1e-3 < abs(n) < 1e3]
    assert numbers
    wrong = law.expression.xreplace({numbers[0]: numbers[0] * sympy.Float(1.0001)})
    found = judge(wrong, law)
    assert not found.exact
    assert 1e-6 < found.error < 1


@pytest.mark.parametrize(("missing", "exact"), [(0.05, False), (0.005, True)])
def test_a_formula_must_be_finite_nearly_everywhere(missing, exact):
    law = one("I.39.22")
    x, _ = law.rows(1000, 0, prolonged=True)
    symbol = sympy.Symbol("T")
    limit = np.quantile(x[:, law.names.index("T")], 1 - missing)
    holed = sympy.Piecewise((law.expression, symbol < limit), (sympy.nan, True))
    found = judge(holed, law)
    assert found.finite == pytest.approx(1 - missing, abs=1e-3)
    assert found.error < 1e-9
    assert found.exact is exact


def test_ranges_go_on_where_the_formula_is_judged():
    law = laws("strogatz")[13]  # -x/10 for x up to 2
    x = sympy.Symbol("x")
    good_inside = sympy.Piecewise((-x / 10, x <= 2), (0, True))
    assert np.array_equal(values(good_inside, law.names, law.rows(300, 0)[0]), law.rows(300, 0)[1])
    assert not judge(good_inside, law).exact


def test_formulas_are_evaluated_where_they_are_real():
    a, lam = sympy.symbols("a lambda")
    x = np.array([[4.0, 1.0], [-1.0, 5.0], [1.0, 3.0]])
    assert values(sympy.sqrt(a) * sympy.sqrt(a - 3) + lam, ["a", "lambda"], x)[:2].tolist() == [3.0, 3.0]
    assert values(sympy.Integer(3), ["a", "lambda"], x).tolist() == [3.0] * 3
    assert values("2*a", ["a", "lambda"], x).tolist() == [8.0, -2.0, 2.0]
    assert values(parse_expression("2*I", ["I"]), ["I"], x[:, :1]).tolist() == [8.0, -2.0, 2.0]  # no imaginary unit
    nowhere = [
        sympy.exp(sympy.exp(1000 * (a + 2))),
        sympy.Symbol("b"),
        sympy.Function("f")(a),
        sympy.Integer(10) ** 400,
    ]
    for formula in nowhere:
        assert np.isnan(values(formula, ["a", "lambda"], x)).all()
    assert judge(sympy.Symbol("b"), laws("strogatz")[13]).finite == 0


# ---- one law


def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


def test_the_processor_limit_interrupts_once():
    start, ended = time.process_time(), 0.0
    with processor_limit(0.2):
        try:
            busy(5)
        except KeyboardInterrupt:
            ended = time.process_time()
        busy(0.4)  # what is done to return the best so far
    assert 0.2 <= ended - start < 1
    busy(0.3)  # nothing rings behind the block


def test_an_interrupt_that_a_finalizer_swallows_comes_again():
    class Thing:
        pass

    def finalizer(_):
        busy(0.5)

    def rings():
        thing = Thing()
        watch = weakref.ref(thing, finalizer)
        del thing
        assert watch() is None
        busy(5)

    start = time.process_time()
    with pytest.raises(KeyboardInterrupt), processor_limit(0.2):
        rings()
    assert time.process_time() - start < 2


def test_the_answer_of_what_discover_gives():
    x = sympy.Symbol("x")
    law = SimpleNamespace(formula=2 * x, found=True, front=[])
    assert answer(law) == (2 * x, True)
    network = SimpleNamespace(symbolic_formula=lambda: x**2, report=SimpleNamespace(found=True))
    assert answer(network) == (x**2, True)
    assert answer(kan2.MultKAN([1, 1], grid=3)) == (None, False)  # splines


def test_noise_is_a_share_of_the_deviation_and_the_same_every_time():
    clean, noisy = Job("feynman", 5), Job("feynman", 5, noise=0.1)
    (x, y), (same, z) = clean.rows(), noisy.rows()
    assert (x == same).all()
    assert (noisy.rows()[1] == z).all()
    assert (z - y).std() == pytest.approx(0.1 * y.std(), rel=0.1)
    assert key(clean, "a") != key(noisy, "a") != key(Job("feynman", 5, units=True), "a")


def test_what_is_right_under_noise():
    job = Job("feynman", 5, noise=0.01)  # m_0/sqrt(1 - v**2/c**2)
    m, v, c = sympy.symbols("m_0 v c")
    root = sympy.sqrt(1 - v**2 / c**2)
    assert judge_noisy(m / root, job.law, *job.rows()).exact
    # A number more than the law has; another number; another form.
    fitted = Fit(Form.of(sympy.Float(1.001) * m / root), samples_of(*job.rows(), (m, v, c)))
    assert not judge_noisy(fitted.expression, job.law, *job.rows()).exact
    assert not judge_noisy(sympy.Float(1.2) * m / root, job.law, *job.rows()).exact
    assert not judge_noisy(m * (1 + v**2 / c**2 / 2), job.law, *job.rows()).exact
    job = Job("feynman", 1, noise=0.01)  # exp(-(theta/sigma)**2/2)/(sqrt(2*pi)*sigma)
    sigma, theta = symbols = sympy.symbols("sigma theta")
    form = Form.of(0.4 * sympy.exp(-((theta / sigma) ** 2) / 2) / sigma)
    assert judge_noisy(Fit(form, samples_of(*job.rows(), symbols)).expression, job.law, *job.rows()).exact
    assert not judge_noisy(form.with_values(np.array([0.5])), job.law, *job.rows()).exact


def test_an_attempt_says_how_it_ended():
    job = Job("strogatz", 13, seconds=0.2)

    def rightly(job, x, y):
        assert (x.shape, y.shape, job.seconds, job.seed) == ((ROWS["strogatz"], 2), (ROWS["strogatz"],), 0.2, 0)
        return job.law.expression, True

    def badly(*_):
        raise ValueError("no\nlaw")

    assert attempt(job, rightly)["formula"] == "-x/10"
    assert attempt(job, badly)["reason"] == "ValueError: no"
    late = attempt(job, lambda *_: busy(5))
    assert (late["formula"], late["found"], late["reason"]) == (None, False, LATE)
    assert 0.2 <= late["seconds"] < 1


@pytest.mark.slow
def test_a_law_is_found_in_a_process_of_its_own(tmp_path):
    text = discovery.main(tmp_path, sets=["feynman"], laws=["I.12.1"], seconds=30, tag="test")
    line = json.loads((tmp_path / discovery.FILE).read_text())
    assert (line["formula"], line["found"], line["exact"]) == ("Nn*mu", True, True)
    assert 0 < line["seconds"] < 30
    assert "1 of 1" in text


@pytest.mark.slow
def test_a_process_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(_discovery_cache, "LEAST_CLOCK", 1)
    processes = _discovery_cache.Processes()
    result = processes(Job("feynman_si", 4, seconds=0.2))
    assert (result["formula"], result["reason"]) == (None, "no end by the clock")
    assert not processes.running


# ---- runs that are kept


@dataclass
class Fake:
    """Finds the law, except of names that start with I.8, and counts how often it was asked."""

    asked: int = 0

    def __call__(self, job):
        self.asked += 1
        wrong = job.law.name.startswith("I.8")
        formula = "x" if wrong else str(job.law.expression)
        error = 0.5 if wrong else 0.0
        return {"formula": formula, "found": True, "exact": not wrong, "error": error, "seconds": 1.0, "reason": ""}


def test_a_second_run_goes_on_from_the_first(tmp_path, capsys):
    cache, run = tmp_path / "deeper" / "runs.jsonl", Fake()
    jobs = [Job("feynman", i) for i in range(4)]
    first = collect(jobs[:2], run, cache, tag="a")
    assert (run.asked, len(cache.read_text().splitlines())) == (2, 2)
    with cache.open("a") as file:
        file.write('{"key": "cut sho')  # by a crash
        file.write("\n")
    both = collect(jobs, run, cache, tag="a", n_jobs=2)
    assert run.asked == 4
    assert {job: both[job] for job in jobs[:2]} == first
    assert list(both) == jobs
    collect(jobs, run, cache, tag="b")
    assert run.asked == 8
    collect(
        [Job("feynman", 0, seed=1), Job("feynman", 0, seconds=5.0), Job("feynman", 0, "operon")], run, cache, tag="a"
    )
    assert run.asked == 11
    collect(jobs, run, cache, tag="a", fresh=True)
    assert run.asked == 15
    collect(jobs, run, cache, tag="a")
    assert run.asked == 15
    assert len(stored(cache)) == 11


def test_an_interrupted_run_keeps_what_is_done(tmp_path, capsys):
    class Interrupted(Fake):
        def __call__(self, job):
            if job.index == 2:
                raise KeyboardInterrupt
            return super().__call__(job)

    jobs, cache, run = [Job("feynman", i) for i in range(4)], tmp_path / "runs.jsonl", Fake()
    with pytest.raises(KeyboardInterrupt):
        collect(jobs, Interrupted(), cache, tag="a")
    assert {result["index"] for result in stored(cache).values()} >= {0, 1}
    assert 2 not in {result["index"] for result in stored(cache).values()}
    assert len(collect(jobs, run, cache, tag="a")) == 4
    assert 1 <= run.asked <= 2


def test_a_law_that_has_changed_is_run_again(monkeypatch):
    job = Job("textbook", 0)
    before = key(job, "a")
    changed = SimpleNamespace(**{**vars(job.law), "formula": "A*T"})
    monkeypatch.setattr(Job, "law", property(lambda self: changed))
    assert key(job, "a") != before
    assert before.startswith("textbook|Arrhenius|")


def test_the_tag_names_the_state_of_the_packages():
    tag = tag_of_packages()
    assert tag == "unknown" or len(tag.split("+")[0]) >= 7


# ---- the command and its section


def test_options_choose_a_part_and_a_part_is_not_the_whole(capsys):
    chosen, whole = options([])
    assert whole
    assert (chosen["seconds"], chosen["jobs"], chosen["seed"]) == (60, 1, 0)
    assert options(["--operon", "--jobs", "2", "--seconds", "20"])[1]
    for part in (["--sets", "feynman"], ["--laws", "I.*"], ["--part", "held-out"], ["--show"]):
        assert not options(part)[1]
    with pytest.raises(SystemExit):
        options(["--sets", "nobody"])


def test_operon_gets_the_laws_that_no_setting_was_chosen_on():
    mine, theirs = (wanted(list(ROWS), ["*"], "all", solver, 0, 60.0) for solver in ("kan2", "operon"))
    assert len(mine) == 284
    assert {job.index % 3 for job in theirs} == {1, 2}
    assert len(theirs) == 80 + 80 + 9 + 20
    assert wanted(["feynman"], ["*"], "development", "operon", 0, 60.0) == []
    names = [job.law.name for job in wanted(["feynman"], ["I.6.2?", "B.9 *"], "all", "kan2", 0, 60.0)]
    assert names == ["I.6.2a", "I.6.2b", "B.9 Gravitational wave radiated power"]


def test_the_section_counts_and_says_what_is_missed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(discovery, "installed", lambda: None)
    text = discovery.main(
        tmp_path, sets=["feynman"], laws=["I.6.2*", "I.8.14", "I.9.18"], tag="mine", operon=True, run=Fake()
    )
    assert text.startswith("## Discovery of laws\n")
    assert "| 1,000 | 4 of 5 | 3 of 3 | 1.0 | 1 |" in text
    assert "Wrong formulas printed as found: 1 of 5." in text
    assert NO_OPERON in text
    assert r"| I.8.14\* | 4 | `x` | YES | 5.0e-01 | 1.0 |  |" in text
    assert "mine" in text
    shown = discovery.main(tmp_path, sets=["feynman"], tag="mine", show=True)
    assert "| 4 of 5 |" in shown
    monkeypatch.setattr(discovery, "installed", lambda: "0")
    both = discovery.main(tmp_path, sets=["feynman"], laws=["I.6.2", "I.8.14"], tag="mine", operon=True, run=Fake())
    assert "| 1 of 2 | 1 of 1 | 1.0 | 1 | 1 of 1 | 1 of 1 | 1.0 |" in both


def test_reasons_and_long_formulas_stand_in_the_section(tmp_path):
    job = Job("strogatz", 1)
    result = {"formula": "x|" * 80, "found": False, "exact": False, "error": None, "seconds": 2.0, "reason": ""}
    line = section({job: result}, 60, "mine", "", {("strogatz", job.law.name): "two scales"}).splitlines()[-1]
    assert line.count(r"\|") == (DIGITS - 3) // 2
    assert "..." in line
    assert line.endswith("| no |  | 2.0 | two scales |")
    none = {**result, "formula": None, "reason": LATE}
    assert f"| none: {LATE} | no |" in section({job: none}, 60, "mine", "", {})
    path = tmp_path / "reasons.csv"
    path.write_text("set,law,reason\nstrogatz,glider 1,none\n")
    assert reasons(path) == {("strogatz", "glider 1"): "none"}
    names = {(of, law.name) for of in ROWS for law in laws(of)}
    assert set(reasons()) <= names


def test_a_part_is_printed_and_the_whole_is_written(tmp_path, monkeypatch, capsys):
    page = tmp_path / "results.md"
    monkeypatch.setattr(benchmarks.__main__, "RESULTS", page)
    monkeypatch.setattr(discovery, "main", lambda **chosen: "## Discovery of laws\n\nall of it\n")
    assert benchmarks.__main__.main(["discovery", "--sets", "strogatz"]) == 0
    assert not page.exists()
    assert benchmarks.__main__.main(["discovery", "--jobs", "2"]) == 0
    assert "all of it" in page.read_text()
    assert capsys.readouterr().out.count("all of it") == 2


# ---- Operon


def test_constants_are_fitted_in_float64():
    x = np.random.default_rng(0).uniform(1, 2, (50, 2))
    rough = parse_expression("0.33333298563957214*x0^2 + (2.5000009536743164*x1) - 1.000000013351432e-07", ["x0", "x1"])
    fitted = fit_constants(rough, ["x0", "x1"], x, x[:, 0] ** 2 / 3 + 2.5 * x[:, 1])
    np.testing.assert_allclose(values(fitted, ["x0", "x1"], x), x[:, 0] ** 2 / 3 + 2.5 * x[:, 1], rtol=1e-12)
    whole = parse_expression("x0 + x1", ["x0", "x1"])
    assert fit_constants(whole, ["x0", "x1"], x, x[:, 0]) == whole


def test_powers_of_ten_bring_columns_near_one():
    assert power_of_ten(np.array([1e-30, 4e-29, 0.0, 2e-28])) == pytest.approx(1e-28, rel=9.1)
    assert power_of_ten(-np.array([200.0, 300.0])) == 100
    assert power_of_ten(np.zeros(3)) == 1


@pytest.mark.parity
def test_operon_finds_a_product():
    pytest.importorskip("pyoperon")
    x = np.exp(np.random.default_rng(0).uniform(-70, -60, (100, 2)))
    formula = _discovery_operon.search(x, x[:, 0] * x[:, 1], ["a", "I"], 3, 0)
    np.testing.assert_allclose(values(formula, ["a", "I"], x), x[:, 0] * x[:, 1], rtol=1e-6)


def test_the_data_are_described():
    said = (Path(discovery.__file__).parents[1] / "case_studies" / "data" / "README.md").read_text()
    assert all(f"`{of}.csv`" in said for of in ROWS if of != "feynman")
