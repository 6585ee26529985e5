"""Three hundred random command lines: promised statuses, one-line errors, no traceback, and none that hangs."""

import random
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from kan2 import MultKAN
from kan2.cli import app

N, CHUNKS = 300, 10
# Seconds of processor time; machines differ, and the checker of annotations costs some.
QUICK, TRAINING = 2.0, 12.0
TRAINS = ("discover", "fit", "tree", "formula")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here = tmp_path_factory.mktemp("fuzz")
    x = np.linspace(1, 2, 25)
    rows = "".join(f"{a},{b},{a * b},w{i}\n" for i, (a, b) in enumerate(zip(x, x[::-1])))
    (here / "good.csv").write_text("a,b [m],T,word\n" + rows)
    (here / "holes.csv").write_text("a,T\n1,2\n,3\n3,4\nnan,1\n")
    (here / "one.csv").write_text("a,T\n1,2\n")
    (here / "same.csv").write_text("a,T\n" + "1,2\n" * 30)
    (here / "huge.csv").write_text("a,T\n" + "".join(f"{i}e300,{i}e-300\n" for i in range(1, 30)))
    (here / "empty.csv").write_text("")
    (here / "header.csv").write_text("a,T\n")
    (here / "rubbish.csv").write_bytes(bytes(range(256)) * 4)
    (here / "rubbish.kan").write_bytes(b"\x10\0\0\0\0\0\0\0{" + bytes(200))
    law = MultKAN([1, 1], inputs=["a"], outputs=["T"]).fix_symbolic((0, 0, 0), "sin", affine=(1, 0, 2, 0))
    law.save(here / "law.kan")
    MultKAN([2, [1, 1], 1], inputs=["a", "b"], outputs=["T"], grid=3).save(here / "splines.kan")
    # What a load imports is no part of what a command takes.
    CliRunner().invoke(app, ["explain", "x*y", "-o", str(here / "warm.svg")])
    CliRunner().invoke(app, ["info", str(here / "good.csv")])
    return here


def command_line(draw: random.Random, here) -> list[str]:
    tables = "good", "good", "good", "holes", "one", "same", "huge", "empty", "header", "rubbish", "nosuch"
    data = [str(here / f"{name}.csv") for name in tables]
    data += ["datasets:planets", "datasets:nosuch", "-", str(here), "", "law.kan"]
    models = [str(here / name) for name in ("law.kan", "splines.kan", "rubbish.kan", "nosuch.kan", "good.csv")]
    columns = ["a", "b", "T", "word", "zz", "a,b", "", "T,a", "ä", "a b"]
    outputs = [str(here / name) for name in ("out.kan", "out.svg", "out.csv", "out", "nosuch/x.kan")]
    formulas = ["x*y", "sin(x)/y", "x^", "", "1/0", "x**y", "\\frac{x}{2}", "f(", "x; y", "1e999", "é", "besselj(0,x)"]
    values = {
        "--target": columns, "-t": columns, "--inputs": columns, "-i": columns,
        "--where": ["a > 1.5", "a >", "", "word == 'w1'", "a > 1 and", "zz < 1", "a < 0", "T"],
        "--augment": ["c = a/2", "c = zz", "c", "a = b", "c = 1/(a - a)", "= a"],
        "--width": ["2+1", "1", "none", "0", "x", "1,1", "-1", ""],
        "--library": ["x,x^2", "sin", "nosuch", ""],
        "--seed": ["0", "7", "-1", "x", "99999999999999999999"],
        "--attempts": ["1", "0", "x"], "--steps": ["1", "3", "-1"], "--grid": ["1", "3", "0"],
        "--held-out": ["0", "0.5", "0.9", "2"], "--digits": ["3", "0", "99"],
        "--domain": ["x:0:1", "x:1:0", "x", "x:a:b"],
        "--optimize": ["depth", "speed"], "--data": data, "--title": ["t", "$x", ""], "--scale": ["1", "0", "x"],
        "-o": [*outputs, ""],
    }  # fmt: skip
    flags = ["--json", "--quiet", "-q", "--drop-missing", "--force", "--latex", "--alone", "--splines", "--ticks",
             "--help", "--nosuch", "--version"]  # fmt: skip
    command = draw.choice([
        "discover", "discover", "fit", "fit", "predict", "formula", "tree", "plot", "compile", "explain", "info",
        "datasets", "nosuch",
    ])  # fmt: skip
    first = {
        "discover": data, "fit": data, "tree": data + models, "info": data + models, "compile": formulas,
        "explain": formulas + models, "datasets": ["planets", "kan1", "nosuch", "datasets:balmer"],
    }.get(command, models)  # fmt: skip
    words = [command] + [draw.choice(first)] * (draw.random() < 0.95)
    if command in ("predict", "formula", "plot", "tree") and draw.random() < 0.6:
        words.append(draw.choice(data))
    if command in ("discover", "fit", "tree") and draw.random() < 0.7:
        words += ["-t", "T"]
    if command == "fit" and draw.random() < 0.8:
        words += ["-o", str(here / "out.kan"), "--force"]
    if command in ("discover", "fit", "formula"):
        words += ["--seconds", "1"]
    for _ in range(draw.choice([0, 0, 1, 1, 2, 3])):
        option = draw.choice([*values, *flags])
        words += [option, draw.choice(values[option])] if option in values else [option]
    return words


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_command_lines(chunk, folder):
    draw = random.Random(chunk)
    statuses = set()
    for _ in range(N // CHUNKS):
        words = command_line(draw, folder)
        start = time.process_time()
        result = CliRunner().invoke(app, words, input="a,T\n1,2\n2,4\n3,6\n")
        seconds = time.process_time() - start
        assert result.exit_code in (0, 1, 2, 3), (words, result.output)
        assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exception)
        assert "Traceback" not in result.output, (words, result.output)
        assert "Add --debug to see where" not in result.stderr, (words, result.stderr)
        refusals = [line for line in result.stderr.splitlines() if line.startswith("kan2") and "warning:" not in line]
        assert len(refusals) == (result.exit_code in (1, 2)) or result.exit_code == 3, (words, result.output)
        assert seconds < (TRAINING if words[0] in TRAINS else QUICK), (words, seconds)
        statuses.add(result.exit_code)
    assert 2 in statuses
    assert len(statuses) > 1
