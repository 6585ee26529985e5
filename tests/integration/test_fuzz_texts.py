"""Generated texts: each becomes the right network or a typed refusal, in 2 s of processor time and little memory."""

import json
import os
import random
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
import sympy
import torch

import kanpiler
from kan2.errors import Kan2Error
from kan2.expressions.parse import parse_expression
from kan2.multkan import MultKAN
from kanpiler.latex import parse_latex
from kanpiler.normalize import carry_out

SEED, N_TEXTS = 2024, 500
SECONDS, EXTRA_MEMORY = 2.0, 2**30

NAMES = ["x", "y", "z", "x1", "T", "lambda", "μ", "k_B", "e", "E", "i", "mod", "nan", "alpha", "а"]
UNARY = [
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "abs", "cbrt", "sign"),
    *("floor", "ceil", "erf", "gamma", "loggamma", "factorial", "ln", "log10", "besselj", "Si", "zeta", "LambertW"),
    *("sigmoid", "heaviside", "digamma", "frac", "sec", "acosh", "atanh", "re", "im", "conjugate", "arg"),
]
BINARY = ["max", "min", "mod", "atan2", "hypot", "log", "root", "binomial", "beta", "besselj", "polygamma"]
CALCULUS = [
    "Integral({},(t,0,{}))", "Sum({}*k,(k,1,{}))", "Product({}+k,(k,1,{}))", "diff({},x)", "diff({},x,{})",
    "Piecewise(({},x>0),({},True))", "{} if x < y else {}", "Integral({}*t,(t,x>0,{}))",
    "re({}+I*({}))", "im(({})*exp(I*({})))", "|{}-I*({})|", "arg({}+I*({}))", "abs(1/({}+I*({})))",
    "({})!+{}", "{}!*{}", "Matrix([{},{}])[1]", "Sum(Matrix([{},{}])[k]*k,(k,0,1))",
]  # fmt: skip
INSERTED = [
    *"()[]I|+-*/^.,%!=<>;:#'²³½√π∞×−·_ \t\n\0",
    "\u200b",
    "\u202e",
    "**",
    "e",
    "E",
    "1e",
    "0x",
    "mod",
    "if",
    "x",
    "9",
]
HOSTILE = [
    "9**9**9**9", "(" * 5000, ")" * 50, "__import__('os').system('true')", "().__class__", "x" * 25_000, "\0", "",
    "sin(" * 90 + "x" + ")" * 90, "1/(1+" * 80 + "x" + ")" * 80, "abs(" * 60 + "x" + "-1)" * 60, "-" * 3000 + "x",
    f"Max({','.join(f'x{i}' for i in range(40))})", f"Min({','.join(f'x{i}' for i in range(200))})",
    f"Max({','.join(f'sin({i}*x)' for i in range(30))})", f"Max({','.join(f'sqrt({i})' for i in range(60))},x)",
    "+".join(f"sin({i}*x)" for i in range(1000)), "*".join(f"(x+{i})" for i in range(200)), "(a+b+c+d)**20",
    "+".join(f"sin(x+{i})*y" for i in range(1300)), "+".join(["x*y"] * 4999), "x" + "+x" * 9990, "x" + "*y" * 9990,
    "x**x**x**x**x", "2**2**x**x", "x**x**99**99", "x/" + "7" * 300, "1e308*1e308*x", "factorial(170)*x", "zeta(200)*x",
    "gamma(1/3)**100*x", "gamma(171)*gamma(171)", "binomial(200,100)*x", "binomial(x,199)", "legendre(200,x)",
    "gegenbauer(150,y,x)", "jacobi(150,2,3,x)", "besselj(200,x)", "polygamma(200,x)", "floor(exp(700))*x",
    "sin(10**300)*x", "atan2(" * 15 + "x" + ",y)" * 15, "sqrt(1+" * 60 + "x" + ")" * 60, "root(" * 8 + "x" + ",3)" * 8,
    "Integral(exp(sin(t)),(t,0,x))", "Integral(1/(t**5+x*t+1),(t,0,x))", "Integral(t,(t,x>0,1))", "Integral(t,x)",
    "Integral(exp(-t**2)*sin(t)/(1+t**4),(t,0,x))", "Integral(Integral(sin(t*s),(t,0,x)),(s,0,x))", "Integral(1)",
    "Integral(besselj(0,t)*exp(-t),(t,0,x))", "Sum(1/(k**2+x),(k,1,oo))", "Sum(sin(k*x),(k,1,999))", "diff(1,2)",
    "Product(x+k,(k,1,999))", "diff(exp(sin(x**2)),x,30)", "diff(x**2,x,1000000)", "diff(x,x>0)", "Sum(k,k)",
    "Piecewise(" + ",".join(f"(x**{i},x<{i})" for i in range(1, 40)) + ",(0,True))", "Piecewise(x)", "Piecewise((x,y))",
    "".join(f"x*{i} if x<{i} else " for i in range(60)) + "0",
    "x if 0" + "".join(f"<x{i}" for i in range(30)) + " else 1",
    "expint(1000,x)", "lowergamma(1500,x)", "*".join(f"Max(x{i},y{i})" for i in range(60)), "Max(True, x)",
    "max(x>0,1)",
    "mod(" * 20 + "x" + ",3)" * 20, "zeta(zeta(x))", "Rational(x, 2)", "Rational(1, 0)*x", "Mod(x, 0)", "log(x, 1)",
    "re((x+I*y)**60)", "abs((x+I*y)**(x+I*y)**(x+I*y))", "re(exp(" * 20 + "I*x" + "))" * 20, "re(I*9**9**9)",
    "re(log(" * 20 + "I*x" + "))" * 20, "+".join(f"re(exp(I*{i}*x))" for i in range(300)),
    "|x+I*" * 20 + "y" + "|" * 20, "re(" * 90 + "x" + ")" * 90, "arg(" * 20 + "x+I" + ")" * 20, "re(gamma(x+I)**20)",
    "re(sin(sin(sin(sin(x+I*y)))))",
    "re(1/(" * 20 + "x+I*y" + "))" * 20, "Product(re(x+I*k),(k,1,99))", "re(Product(x+I*k,(k,1,99)))", "re(x**10**6+I)",
    "re(Integral(exp(I*t*x)/(1+t**2),(t,0,1)))", "x" + "!" * 99, "(" * 90 + "x" + ")!" * 90, "170!*x",
    "171!*x", "x!" * 999,
    f"Matrix([{','.join(['x'] * 4000)}])[9]", "Matrix([" * 60 + "x" + "])[0]" * 60, "Matrix([x])[10**9]", "[" * 5000,
    r"\Re(" * 60 + r"\alpha" + ")" * 60, r"\alpha" + "!" * 60,
    r"\frac{" * 60 + "x" + "}{2}" * 60, r"\sqrt[" * 30 + "3" + "]{x}" * 30, "{" * 3000, r"\sum_{k=1}^{999} \sin k x",
]  # fmt: skip


def grow(generator: random.Random, depth: int) -> str:
    """Writes a formula by a grammar that is wider than what is accepted."""
    kind = generator.random()
    if depth == 0 or kind < 0.15:
        number = f"{generator.uniform(-9, 9):.{generator.randrange(4)}f}"
        return generator.choice(
            ["x", "x", "y", generator.choice(NAMES), number, str(generator.randrange(12)), "pi", "½"]
        )
    part = [grow(generator, depth - 1) for _ in range(2)]
    if kind < 0.55:
        sign = generator.choice(["+", "-", "*", "/", "+", "*", "**", "^", " ", "%", "·", "÷"])
        return f"({part[0]}){sign}({part[1]})" if generator.random() < 0.6 else f"{part[0]}{sign}{part[1]}"
    if kind < 0.8:
        return f"{generator.choice(UNARY)}({part[0]})"
    if kind < 0.9:
        return f"{generator.choice(BINARY)}({part[0]},{part[1]})"
    return generator.choice(["|{}|", "√({})", "({})²", *CALCULUS]).format(*part)


def mutate(generator: random.Random, text: str) -> str:
    """Does what slips of the keyboard, the clipboard and the mind do."""
    for _ in range(generator.randrange(1, 4)):
        i, j = sorted(generator.randrange(len(text) + 1) for _ in range(2))
        text = generator.choice(
            [
                text[:i] + generator.choice(INSERTED) + text[i:],
                text[:i] + text[i + 1 :],
                text[:j] + text[i:],
                text[:i] + text[j:],
            ]
        )
    return text[:2000]


def texts() -> list[str]:
    generator = random.Random(SEED)
    made = [grow(generator, generator.randrange(1, 6)) for _ in range(N_TEXTS - len(HOSTILE))]
    half = len(made) // 2
    return HOSTILE + made[:half] + [mutate(generator, text) for text in made[half:]]


def is_right(text: str, network: MultKAN) -> bool:
    """Compares with lambdify, at points that the compiler has not seen."""
    right = text.split("=", 1)[1] if network.spec.outputs != ("y",) and "=" in text else text
    expression = parse_latex(right) if "\\" in text or "{" in text else parse_expression(right)
    inputs = network.spec.inputs
    points = np.random.default_rng(5).uniform(0.3, 2.1, (20, len(inputs)))
    symbols = [sympy.Dummy() for _ in inputs]
    plain = carry_out(expression).xreplace({sympy.Symbol(n): s for n, s in zip(inputs, symbols)})
    # Generated code takes a comparison with an undefined side as false; the formula has no value there.
    sides = [step.args[0] for step in plain.atoms(sympy.Heaviside)]
    relations: Any = plain.atoms(sympy.core.relational.Relational)
    sides += [r.lhs - r.rhs for r in relations]
    # SciPy takes the factorial of a negative number as 0.
    modules = [{"factorial": lambda n: scipy.special.gamma(n + 1)}, "scipy", "numpy"]
    functions = [sympy.lambdify(symbols, part, modules) for part in (plain, *sides)]

    def values(at: np.ndarray) -> np.ndarray:
        found = []
        for row in at:
            try:
                found_at = [complex(function(*(np.float64(v) for v in row))) for function in functions]
                value = found_at[0] + 0 * sum(found_at[1:])
            except Exception:  # generated code fails in ways as many as there are functions
                value = complex("nan")
            found.append(value.real if abs(value.imag) <= 1e-12 * abs(value) else np.nan)
        return np.array(found)

    expected, moved = values(points), values(points * (1 + 1e-13))
    found = network(torch.as_tensor(points)).detach().numpy()[:, 0]
    finite = np.isfinite(expected) & np.isfinite(moved)
    sizes = np.abs(expected[finite])
    allowed = 1e-9 * (np.abs(expected) + (np.median(sizes) if len(sizes) else 1.0)) + 1e2 * np.abs(moved - expected)
    return bool((np.abs(found - expected)[finite] <= allowed[finite]).all())


def judge(text: str) -> dict[str, object]:
    """Compiles one text and says how that ended."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    network, kind = None, "compiled"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            network = kanpiler.compile(text)
        except Kan2Error as error:
            kind = "refused" if str(error).strip() else "without a word"
        except BaseException as error:
            kind = f"raw {type(error).__name__}"
        seconds = time.process_time() - start
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if network is not None and len(text) < 400:
            kind = "right" if is_right(text, network) else "wrong"
    return {"text": text[:80], "kind": kind, "seconds": seconds, "memory": memory}


@pytest.mark.slow
def test_generated_texts_end_well():
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, env=environment, cwd=root, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    counts = {kind: sum(r["kind"] == kind for r in results) for kind in sorted({r["kind"] for r in results})}
    slowest, largest = (sorted(results, key=lambda r: -r[key])[:5] for key in ("seconds", "memory"))
    lines = [f"\n{len(results)} texts: {counts}", "slowest:"]
    lines += [f"  {r['seconds']:.2f} s {r['kind']} {r['text'][:50]!r}" for r in slowest]
    lines += ["largest:", *(f"  {r['memory'] / 2**20:.0f} MiB {r['text'][:50]!r}" for r in largest)]
    sys.stdout.write("\n".join(lines) + "\n")
    assert len(results) == N_TEXTS
    assert [r for r in results if r["kind"] not in ("right", "compiled", "refused")] == []
    assert [r for r in results if r["seconds"] > SECONDS] == []
    assert [r for r in results if r["memory"] > EXTRA_MEMORY] == []
    assert counts["right"] > N_TEXTS / 10  # a parser that refuses everything is no parser


if __name__ == "__main__":
    kanpiler.compile("x + Piecewise((x, x > 0), (Integral(t, (t, 0, x)), True))")  # what is imported at first
    for made in texts():
        sys.stdout.write(json.dumps(judge(made)) + "\n")
        sys.stdout.flush()
