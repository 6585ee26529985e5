"""Every command with right and wrong input, on small tables and with few steps."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kan2 import MultKAN
from tests.unit.test_cli_errors import kan2, refused

X = np.linspace(0.5, 2.0, 24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables and networks that commands read and never write."""
    here = tmp_path_factory.mktemp("cli")
    rows = [f"{x},{x**2},{3 * x},label" for x in X.tolist()]
    (here / "t.csv").write_text("# Accelerated motion\nx [s],sq,y [m],name\n" + "\n".join(rows) + "\n")
    (here / "holes.csv").write_text("x,y\n1,2\n,3\n2,4\n3,6\n")
    (here / "empty.csv").write_text("")
    (here / "rubbish.csv").write_bytes(bytes(range(256)) * 10)
    model = MultKAN([1, 1], inputs=["x"], outputs=["y"], grid=3)
    trained = MultKAN([1, 1], grid=3)
    trained.fit({"x": X, "y": 3 * X}, target="y", steps=3)
    trained.save(here / "splines.kan")
    model.fix_symbolic((0, 0, 0), "x", affine=(1, 0, 3, 0)).save(here / "law.kan")
    MultKAN([2, 2, 1], inputs=["x", "sq"], outputs=["y"], grid=3).save(here / "two.kan")
    return here


@pytest.fixture
def t(folder):
    return str(folder / "t.csv")


@pytest.fixture
def law(folder):
    return str(folder / "law.kan")


# What every command that reads a table, writes a file or reads a network refuses in the same way.
READS = {
    "discover": ["discover", "DATA", "--target", "y"],
    "fit": ["fit", "DATA", "--target", "y", "-o", "OUT"],
    "tree": ["tree", "DATA", "--target", "y"],
    "predict": ["predict", "LAW", "DATA"],
    "formula": ["formula", "SPLINES", "DATA"],
    "plot": ["plot", "LAW", "DATA", "-o", "OUT.svg"],
    "explain": ["explain", "LAW", "--data", "DATA"],
    "info": ["info", "DATA"],
}
WRITES = {
    "discover": ["discover", "DATA", "--target", "y", "-o", "OUT"],
    "fit": ["fit", "DATA", "--target", "y", "-o", "OUT"],
    "tree": ["tree", "DATA", "--target", "y", "-o", "OUT.svg"],
    "predict": ["predict", "LAW", "DATA", "-o", "OUT.csv"],
    "formula": ["formula", "LAW", "-o", "OUT"],
    "plot": ["plot", "LAW", "-o", "OUT.svg"],
    "compile": ["compile", "x*y", "-o", "OUT"],
    "explain": ["explain", "x*y", "-o", "OUT.svg"],
    "datasets": ["datasets", "planets", "-o", "OUT.csv"],
}
MODELS = {
    "predict": ["predict", "MODEL", "DATA"],
    "formula": ["formula", "MODEL"],
    "plot": ["plot", "MODEL", "-o", "OUT.svg"],
}


def typed(words, folder, out, data="t.csv", model="law.kan"):
    """A command line with the paths of this test in the place of their names."""
    places = {
        "DATA": folder / data,
        "LAW": folder / "law.kan",
        "SPLINES": folder / "splines.kan",
        "MODEL": folder / model,
        "OUT": out / "out.kan",
        "OUT.svg": out / "out.svg",
        "OUT.csv": out / "out.csv",
    }
    return [str(places.get(word, word)) for word in words]


@pytest.mark.parametrize("command", READS)
@pytest.mark.parametrize(
    ("data", "status", "part"),
    [("nosuch.csv", 2, "no such file"), ("empty.csv", 1, "empty.csv"), ("rubbish.csv", 1, "rubbish.csv")],
)
def test_tables_that_cannot_be_read(command, data, status, part, folder, tmp_path):
    refused(kan2(*typed(READS[command], folder, tmp_path, data)), status, f"kan2: {command}:", part)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", WRITES)
def test_files_that_exist_are_kept_and_seen_before_the_work(command, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("kan2.cli._data.choose", lambda *_: pytest.fail("read the data"))
    monkeypatch.setattr("kan2.cli.predict.load", lambda *_: pytest.fail("read the network"))
    for out in (tmp_path / "out.kan", tmp_path / "out.svg", tmp_path / "out.csv"):
        out.write_text("precious")
    refused(kan2(*typed(WRITES[command], folder, tmp_path)), 2, "exists", "--force")
    words = typed(WRITES[command], folder, tmp_path / "nosuch")
    refused(kan2(*words), 2, "no folder", "nosuch")
    monkeypatch.setattr("os.access", lambda path, _: not str(path).endswith(("out.kan", "out.svg", "out.csv")))
    refused(kan2(*typed(WRITES[command], folder, tmp_path), "--force"), 1, "permission denied")
    assert {out.read_text() for out in tmp_path.iterdir()} == {"precious"}


@pytest.mark.parametrize("command", ["tree", "plot", "explain"])
def test_pictures_have_known_endings(command, folder, tmp_path):
    words = [*typed(WRITES[command], folder, tmp_path)[:-1], str(tmp_path / "a.doc")]
    refused(kan2(*words), 2, ".svg, .png, .pdf", "a.doc")


@pytest.mark.parametrize("command", MODELS)
@pytest.mark.parametrize(
    ("model", "status", "part"), [("nosuch.kan", 2, "nosuch.kan"), ("t.csv", 2, "which is a table"), (".", 2, "")]
)
def test_files_that_are_no_networks(command, model, status, part, folder, tmp_path):
    refused(kan2(*typed(MODELS[command], folder, tmp_path, model=model)), status, f"kan2: {command}:", part)


@pytest.mark.parametrize("command", ["discover", "fit", "tree"])
@pytest.mark.parametrize(
    ("options", "status", "parts"),
    [
        (["--target", "yy"], 2, ["'yy'", "Did you mean 'y'"]),
        ([], 2, ["--target", "x, sq, y, name"]),
        (["--target", "name"], 1, ["text", "name"]),
        (["--target", "y", "--inputs", "x,z"], 2, ["'z'"]),
        (["--target", "y", "--inputs", "y"], 2, ["both"]),
        (["--target", "y", "--where", "x > 100"], 2, ["x > 100", "none of 24"]),
        (["--target", "y", "--where", "x >"], 2, ["--where"]),
        (["--target", "y", "--where", "w > 1"], 2, ["w"]),
        (["--target", "y", "--inputs", "name"], 1, ["text", "name"]),
    ],
)
def test_columns_and_rows_that_are_not_there(command, options, status, parts, t, tmp_path):
    out = ["-o", str(tmp_path / "m.kan")] if command == "fit" else []
    refused(kan2(command, t, *options, *out, "-q") if command != "x" else None, status, *parts)


def test_missing_values_are_refused_or_left_out(folder, tmp_path):
    holes, out = str(folder / "holes.csv"), str(tmp_path / "m.kan")
    refused(kan2("fit", holes, "-t", "y", "-o", out), 2, "1 of 4 rows", "'x'", "--drop-missing")
    words = ["fit", holes, "-t", "y", "-o", out, "--steps", "1", "--width", "none", "--held-out", "0", "--grid", "1"]
    result = kan2(*words, "--drop-missing")
    assert result.exit_code == 0, result.output
    assert "left out 1 row without a value" in result.stderr
    assert "training  y          3" in result.stdout


QUICK = ["--attempts", "1", "--inputs", "x", "--seed", "1"]


def test_discover_prints_a_law_and_saves_it(t, tmp_path):
    out = tmp_path / "m.kan"
    result = kan2("discover", t, "-t", "y", *QUICK, "-o", str(out))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "y = 3*x"
    assert "law found" in result.stdout
    assert "found a law: y ~ 3*x" in result.stderr
    trained = kan2("discover", t, "-t", "y", *QUICK, "--width", "1")
    assert "attempt 1 of 1" in trained.stderr
    assert "found a formula: y ~ 3*x" in trained.stderr
    assert float(MultKAN.load(out)(torch.tensor([[2.0]], dtype=torch.float64)).detach()) == pytest.approx(6)
    assert [file.name for file in tmp_path.iterdir()] == ["m.kan"]


def test_discover_says_everything_to_programs(t):
    result = kan2("discover", "-", "-t", "y", *QUICK, "--json", "--quiet", input=Path(t).read_text())
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert found["formula"] == found["latex"].replace(" ", "*") == "3*x"
    assert found["found"] is True
    assert (found["inputs"], found["target"], found["rows"]) == (["x"], "y", 24)
    assert found["units"] == {"x": "s", "y": "m"}
    assert found["error"] < 1e-9
    assert found["front"][-1]["formula"] == "3*x"


def test_discover_without_a_law_says_so(tmp_path):
    table = tmp_path / "noise.csv"
    y = np.sin(40 * X) + X
    table.write_text("x,y\n" + "".join(f"{a},{b}\n" for a, b in zip(X, y)))
    result = kan2("discover", str(table), "-t", "y", "--attempts", "1", "--seconds", "0.5", "--library", "x,x^2")
    assert result.exit_code == 3, result.output
    assert "no law found" in result.stdout
    assert "left" in result.stderr
    found = kan2("discover", str(table), "-t", "y", "--attempts", "1", "--seconds", "0", "--json", "-q")
    assert found.exit_code == 3
    assert json.loads(found.stdout)["out_of_time"] is True


def test_discover_refuses_options_before_it_trains(t, monkeypatch):
    monkeypatch.setattr("kan2._search._trained", lambda *_: pytest.fail("trained"))
    refused(kan2("discover", t, "-t", "y", "--library", "sni", "-q"), 2, "'sni'", "'sin'")
    for width in ("2x", "", "0", "1,,2", "a+b"):
        refused(kan2("discover", t, "-t", "y", "--width", width, "-q"), 2, "--width")
    refused(kan2("discover", t, "-t", "y", "-i", "x", "--augment", "beta", "-q"), 2, "--augment")
    refused(kan2("discover", t, "-t", "y", "-i", "x", "--augment", "b = w/2", "-q"), 2, "--augment 'b = w/2'", "'w'")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("5", [1, 5, 1]),
        ("2+1", [1, [2, 1], 1]),
        ("5,2+1", [1, 5, [2, 1], 1]),
        ("0+1", [1, [0, 1], 1]),
        ("none", [1, 1]),
    ],
)
def test_widths(text, width, t, tmp_path):
    out = tmp_path / "m.kan"
    result = kan2("fit", t, "-t", "y", "-i", "x", "--width", text, "--steps", "0", "-o", str(out), "-q")
    assert result.exit_code == 0, result.output
    assert MultKAN.load(out).width == MultKAN(width).width


def test_fit_saves_a_network_and_tells_its_errors(t, tmp_path):
    out = tmp_path / "m.kan"
    out.write_text("old")
    words = ["fit", t, "-t", "y", "-i", "x", "-i", "sq", "--steps", "20", "-o", str(out), "--force", "--json"]
    result = kan2(*words)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["errors"]["held out"]["y"]["rows"] == 5
    assert found["errors"]["held out"]["y"]["share"] < 0.01
    assert found["width"] == [[2, 0], [5, 0], [1, 0]]
    model = MultKAN.load(out)
    assert (model.spec.inputs, model.spec.outputs) == (("x", "sq"), ("y",))
    prediction = float(model(torch.tensor([[1.0, 1.0]], dtype=torch.float64)).detach())
    assert prediction == pytest.approx(3, abs=0.05)


def test_augmented_inputs_are_remembered(t, tmp_path):
    out = tmp_path / "m.kan"
    words = ["fit", t, "-t", "y", "-i", "x", "--augment", "half = x/2", "--steps", "2", "-o", str(out)]
    assert kan2(*words).exit_code == 0
    assert MultKAN.load(out).spec.auxiliary == (("half", "x/2"),)
    assert "half = x/2" in kan2("info", str(out)).stdout


def test_predict_writes_csv(law, t, tmp_path):
    rows = list(csv.reader(io.StringIO(kan2("predict", law, t).stdout)))
    assert rows[0] == ["x [s]", "y"]
    np.testing.assert_allclose(np.array(rows[1:], float), np.stack([X, 3 * X], 1), rtol=1e-5)
    out = tmp_path / "p.csv"
    assert kan2("predict", law, t, "--alone", "--where", "x > 1.9", "-o", str(out)).stdout == ""
    assert out.read_text().splitlines()[0] == "y"
    assert len(out.read_text().splitlines()) == 1 + int((X > 1.9).sum())
    refused(kan2("predict", law, t, "-o", str(out)), 2, "exists")


def test_predict_leaves_rows_without_a_value_empty(law, folder):
    result = kan2("predict", law, str(folder / "holes.csv"))
    assert result.stdout == "x,y\n1.0,3.0\n,\n2.0,6.0\n3.0,9.0\n"
    assert "1 of 4 rows has no prediction" in result.stderr


def test_predict_misses_a_column(folder):
    refused(kan2("predict", str(folder / "two.kan"), str(folder / "holes.csv")), 2, "'sq'", "x, y")


def test_formula_of_functions(law):
    assert kan2("formula", law).stdout == "y = 3*x\n"
    assert kan2("formula", law, "--latex").stdout == "y = 3 x\n"
    assert json.loads(kan2("formula", law, "--json").stdout) == {
        "inputs": ["x"], "target": "y", "formula": "3*x", "latex": "3 x", "splines": 0
    }  # fmt: skip
    refused(kan2("formula", law, "--latex", "--json"), 2, "--latex", "--json")


def test_formula_of_splines_needs_the_table(folder, t, tmp_path):
    splines, out = str(folder / "splines.kan"), tmp_path / "law.kan"
    result = kan2("formula", splines)
    refused(result, 3, "a spline is left", "kan2 formula MODEL DATA")
    result = kan2("formula", splines, t, "-o", str(out), "--digits", "4")
    assert result.exit_code == 0, result.output
    assert result.stdout == "y = 3*x\n"
    assert MultKAN.load(out).is_formula


@pytest.mark.slow
def test_tree_of_a_table_and_of_a_network(folder, law, t, tmp_path):
    result = kan2("tree", t, "-t", "y", "-i", "x,sq", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["trees"]
    out = tmp_path / "tree.svg"
    result = kan2("tree", str(folder / "two.kan"), t, "-o", str(out))
    assert result.exit_code == 0, result.output
    assert "formula: " in result.stdout
    assert "<svg" in out.read_text()
    refused(kan2("tree", law), 2, "kan2 tree MODEL DATA")
    refused(kan2("tree", law, t, "-t", "y"), 2, "--target")
    refused(kan2("tree", t, t, "-t", "y"), 2, "kan2 tree DATA --target NAME")
    refused(kan2("tree", str(folder / "holes.csv"), "-t", "y", "--drop-missing", "-q"), 1, "20 samples")


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_plot_draws(ending, start, law, t, tmp_path):
    out = tmp_path / f"net.{ending}"
    result = kan2("plot", law, t, "-o", str(out), "--title", "a law")
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(start)


def test_compile_saves_a_network(tmp_path):
    out = tmp_path / "m.kan"
    result = kan2("compile", "x*sin(y)", "-i", "y,x", "-o", str(out))
    assert result.exit_code == 0, result.output
    assert "x*sin(y)" in result.stdout
    assert "1 product)" in result.stdout
    model = MultKAN.load(out)
    assert model.spec.inputs == ("y", "x")
    assert json.loads(kan2("compile", "x + 1", "y^2", "--json").stdout)["inputs"] == ["x", "y"]
    splines = json.loads(kan2("compile", "sin(x)", "--splines", "--domain", "x:0:1", "--json").stdout)
    assert splines["formula"] is None


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (("x*",), 2, "x*"),
        (("besselj(x)",), 2, "besselj"),
        (("x*y", "--inputs", "x"), 2, "y"),
        (("x", "--domain", "x"), 2, "NAME:LOW:HIGH"),
        (("x", "--domain", "x:0:1", "--domain", "x:0:2"), 2, "one interval"),
        (("x", "--optimize", "speed"), 2, "--optimize"),
        (("x", "--splines"), 2, "--domain x:LOW:HIGH"),
    ],
)
def test_formulas_that_cannot_be_compiled(words, status, part):
    refused(kan2("compile", *words), status, "kan2: compile: ", part)


def test_explain_a_formula_and_a_network(folder, law, t, tmp_path):
    text = kan2("explain", "x*sin(y) + 1").stdout
    assert "Normal form" in text
    assert "n1 = x*sin(y)" in text
    edges = kan2("explain", law, "--data", t).stdout
    assert edges.splitlines()[2].split() == ["(0,0,0)", "x", "y", "3*(x)", "1"]
    out = tmp_path / "net.svg"
    splines = kan2("explain", str(folder / "two.kan"), "-o", str(out)).stdout
    assert "bspline, 3 intervals" in splines
    assert out.exists()
    refused(kan2("explain", "x*y", "--data", t), 2, "--data")
    refused(kan2("explain", law, "--domain", "x:0:1"), 2, "--domain")
    refused(kan2("explain", "x*"), 2, "x*")


def test_info_of_a_network(law, folder):
    text = kan2("info", law).stdout
    assert "y = 3*x" in text
    assert "splines" not in text.split("edges:")[1].split("\n", 1)[1]
    found = json.loads(kan2("info", str(folder / "two.kan"), "--json").stdout)
    assert (found["kind"], found["splines"], found["grid"]) == ("network", 6, [3])


def test_info_of_a_table(t):
    text = kan2("info", t).stdout
    assert "Accelerated motion" in text
    assert "label" not in text
    found = json.loads(kan2("info", t, "--json").stdout)
    columns = {column["column"]: column for column in found["columns"]}
    assert (columns["x"]["unit"], columns["x"]["lowest"], columns["x"]["highest"]) == ("s", 0.5, 2.0)
    assert columns["name"]["kind"] == "text"
    assert found["rows"] == 24


def test_datasets(tmp_path):
    assert "planets" in kan2("datasets").stdout
    assert "sin" in kan2("datasets", "kan1").stdout
    assert "copper" in kan2("datasets", "nist").stdout
    assert "a**(3/2)" in kan2("datasets", "planets").stdout
    out = tmp_path / "planets.csv"
    assert kan2("datasets", "planets", "-o", str(out)).exit_code == 0
    columns = json.loads(kan2("info", str(out), "--json").stdout)["columns"]
    assert [(column["column"], column["unit"]) for column in columns][1:] == [("a", "au"), ("T", "yr")]
    refused(kan2("datasets", "plantes"), 2, "'planets'")
    refused(kan2("datasets", "-o", str(tmp_path / "x.csv")), 2, "name")
    refused(kan2("info", "datasets:plantes"), 2, "'planets'")


@pytest.mark.parametrize("name", ["planets", "hudson_bay", "nist/Nelson", "feynman/I.12.1"])
def test_data_sets_stand_for_tables(name, tmp_path):
    words = ["fit", f"datasets:{name}", "--steps", "1", "--grid", "1", "-o", str(tmp_path / "m.kan"), "--json", "-q"]
    result = kan2(*words)
    assert result.exit_code == 0, result.output
    expected = {"planets": "T", "hudson_bay": ["hare_rate", "lynx_rate"], "nist/Nelson": "log_y", "feynman/I.12.1": "F"}
    assert json.loads(result.stdout)["target"] == expected[name]
