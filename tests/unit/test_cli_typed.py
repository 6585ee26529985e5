"""What is typed and cannot be: outputs are tried first, columns taken as they are written, remedies can be typed."""

import os
import subprocess
import sys
import time
from signal import SIGINT
from types import SimpleNamespace

import pytest

from kan2 import MultKAN
from kan2.cli import _errors, _words
from kan2.cli._complete import columns
from kan2.cli._data import columns_of
from kan2.cli._table import read_source
from kan2.cli.screen import lines
from kan2.errors import FileError, MissingFileError, NumberError, UnknownNameError
from tests.unit.test_cli_errors import ENVIRONMENT, kan2, refused


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with small tables and networks, in which commands run."""
    monkeypatch.chdir(tmp_path)
    values = [(1 + i / 8, 1 + (i * 7 % 16) / 8) for i in range(16)]
    tables = {
        "t.csv": ("a,b,y", [f"{a},{b},{a * b}" for a, b in values]),
        "odd.csv": ('x-y,"a,b",`t`,x+y', [f"{a},{b},{a - b},{a * b}" for a, b in values]),
        "units.csv": ("flow rate [m/s],T (K),p / Pa", [f"{a},{b},{a * b}" for a, b in values]),
        "same.csv": ("x,y", [f"{a},3" for a, _ in values]),
        "twin.csv": (",x,z,y", [f"{i},{a},{a},{2 * a}" for i, (a, _) in enumerate(values)]),
        "lacks.csv": ("a,y", ["1,2"]),
        "far.csv": ("a,b", ["1.5,1.5", "99,1.5", ",1"]),
        "names.csv": ("a,a,y", ["1,2,3", "4,5,6"]),
        "semicolons.csv": ("1,5;2,5", ["2,5;3,5", "3,5;4,5"]),
        "latin.csv": ("L,y", ["1,2"]),
    }
    for name, (header, rows) in tables.items():
        (tmp_path / name).write_text("\n".join([header, *rows]) + "\n")
    (tmp_path / "latin.csv").write_bytes("Länge,y\n1,2\n".encode("latin-1"))
    MultKAN([2, 1, 1], inputs=["a", "b"], outputs=["y"], grid=3).save(tmp_path / "net.kan")
    MultKAN([2, 1], inputs=["flow rate", "T"], outputs=["p"], grid=3).save(tmp_path / "units.kan")
    law = MultKAN([1, 1], inputs=["a"], outputs=["x+y"])
    law.fix_symbolic((0, 0, 0), "x", affine=(1, 0, 3, 0)).save(tmp_path / "law.kan")
    return tmp_path


NOWHERE = {
    "discover": ["discover", "t.csv", "-t", "y", "-o", "/proc/x"],
    "fit": ["fit", "t.csv", "-t", "y", "-o", "/proc/x.kan"],
    "compile": ["compile", "x*y", "-o", "/proc/x"],
    "predict": ["predict", "net.kan", "t.csv", "-o", "/proc/x.csv"],
    "plot": ["plot", "net.kan", "-o", "/proc/x.svg"],
    "tree": ["tree", "t.csv", "-t", "y", "-o", "/proc/x.svg"],
    "datasets": ["datasets", "planets", "-o", "/proc/x.csv"],
}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder in which nobody can make a file")
@pytest.mark.parametrize("command", NOWHERE)
def test_outputs_are_tried_before_the_work(command, here, monkeypatch):
    monkeypatch.setattr("kan2.cli._data.choose", lambda *_: pytest.fail("read the data"))
    monkeypatch.setattr("kan2.cli.predict.load", lambda *_: pytest.fail("read the network"))
    monkeypatch.setattr("kanpiler.compile", lambda *_, **__: pytest.fail("compiled"))
    result = kan2(*NOWHERE[command])
    refused(result, 1, f"{NOWHERE[command][-1]!r} cannot be written")
    assert "tmp" not in result.stderr
    assert "error" not in result.stderr.lower()


def test_what_is_found_is_printed_before_saving_fails(here, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kan2.multkan.MultKAN.save", full)
    result = kan2("discover", "t.csv", "-t", "y", "-i", "a", "--attempts", "1", "--seconds", "0.2", "-o", "m.kan")
    assert result.exit_code == 1
    assert "law found" in result.stdout
    assert result.stderr.splitlines()[-1].startswith("kan2: discover: 'm.kan' cannot be written: no space left")
    result = kan2("compile", "x*y", "-o", "m.kan")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (1, "f = x*y")
    assert not [path for path in here.iterdir() if "tmp" in path.name or path.name == "m.kan"]


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (FileError("save: expected a file that can be written, got 'x.kan': no space."), 1, "expected a file that can"),
        (MissingFileError("load: got no file 'x.kan'. Did you mean 'y.kan'?"), 2, "got no file 'x.kan'. Did you mean"),
    ],
)
def test_errors_of_files_keep_their_message(error, status, line):
    error.filename = "x.kan.tmp"
    assert _errors._line("info", error).startswith(f"kan2: info: {line}")
    assert _errors.status_of(error) == status


@pytest.mark.parametrize("link", ["t.csv", "sub/../t.csv", "soft.csv", "hard.csv"])
def test_no_input_is_replaced(link, here):
    (here / "soft.csv").symlink_to("t.csv")
    os.link(here / "t.csv", here / "hard.csv")
    (here / "sub").mkdir()
    before = (here / "t.csv").read_text()
    refused(kan2("predict", "net.kan", "t.csv", "-o", link, "-f"), 2, "those that are read", link)
    (here / "table").write_text(before)
    refused(kan2("discover", "table", "-t", "y", "-o", "table", "-f"), 2, "those that are read")
    refused(kan2("formula", "net.kan", "-o", "net.kan", "-f"), 2, "those that are read")
    assert (here / "t.csv").read_text() == before


def test_links_stay_and_what_they_lead_to_is_written(here):
    (here / "real.csv").write_text("old")
    (here / "soft.csv").symlink_to("real.csv")
    assert kan2("predict", "net.kan", "t.csv", "-o", "soft.csv", "-f", "-q").exit_code == 0
    assert (here / "soft.csv").is_symlink()
    assert (here / "real.csv").read_text().startswith("a,b,y\n")


@pytest.mark.parametrize("name", ["x.csv", "x.txt", "x.json", "x.parquet", "x.svg", "x.PNG"])
@pytest.mark.parametrize("words", [["discover", "t.csv", "-t", "y"], ["fit", "t.csv", "-t", "y"], ["compile", "x"]])
def test_networks_do_not_end_as_tables_and_pictures(words, name, here):
    refused(kan2(*words, "-o", name), 2, ".kan", name)


@pytest.mark.parametrize("name", ["p.parquet", "p.csv.gz", "p.kan", "p"])
def test_predictions_end_as_text(name, here):
    refused(kan2("predict", "net.kan", "t.csv", "-o", name), 2, ".csv, .tsv, .txt", name)
    refused(kan2("datasets", "planets", "-o", name), 2, ".csv, .tsv, .txt", name)


def test_tabs_where_the_ending_says_so(here):
    assert kan2("predict", "net.kan", "t.csv", "-o", "p.tsv", "-q").exit_code == 0
    assert (here / "p.tsv").read_text().startswith("a\tb\ty\n")
    assert kan2("datasets", "planets", "-o", "planets.tsv").exit_code == 0
    assert "a [au]\tT [yr]\n" in (here / "planets.tsv").read_text().replace('"', "")


def test_headers_of_predictions_keep_units(here):
    text = kan2("predict", "units.kan", "units.csv").stdout
    assert text.splitlines()[0] == "flow rate [m/s],T [K],p"
    (here / "again.csv").write_text(text)
    assert kan2("predict", "units.kan", "again.csv").stdout == text


def test_predict_tells_of_columns_ranges_and_gaps(here):
    refused(kan2("predict", "net.kan", "lacks.csv"), 2, "the network reads 'b', which lacks.csv does not have", "a, y")
    MultKAN([2, 1], inputs=["a", "b"], outputs=["y"], grid=3).refine(3).save("wide.kan")
    result = kan2("predict", "wide.kan", "far.csv")
    assert "2 of 3 rows are outside the range that the network was trained on" in result.stderr
    assert "1 of 3 rows has no prediction" in result.stderr
    assert kan2("predict", "wide.kan", "far.csv", "-q").stderr == ""


CHOICES = [
    ("odd.csv", ["-t", "x+y", "-i", "a,b"], ["a,b"]),
    ("odd.csv", ["-t", "`x+y`", "-i", "`a,b`,x-y"], ["a,b", "x-y"]),
    ("odd.csv", ["-t", "x+y", "-i", "x-y,`t`"], ["x-y", "`t`"]),
    ("units.csv", ["-t", "p / Pa", "-i", "flow rate [m/s],T (K)"], ["flow rate", "T"]),
    ("units.csv", ["-t", "p", "-i", "T", "-i", "flow rate"], ["T", "flow rate"]),
]


@pytest.mark.parametrize(("data", "words", "inputs"), CHOICES)
def test_columns_as_they_are_written(data, words, inputs, here):
    result = kan2("fit", data, *words, "--steps", "0", "--width", "none", "-o", "m.kan", "-q")
    assert result.exit_code == 0, result.output
    assert list(MultKAN.load("m.kan").spec.inputs) == inputs


def test_odd_names_are_printed_in_backquotes(here):
    assert kan2("formula", "law.kan").stdout == "`x+y` = 3*a\n"
    assert "target:     `x+y`" in kan2("info", "law.kan").stdout
    refused(kan2("fit", "odd.csv", "-t", "z", "-o", "m.kan"), 2, "Known: `x-y`, `a,b`, ```t```, `x+y`.")


@pytest.mark.parametrize("data", ["units.csv", "odd.csv"])
def test_what_is_completed_is_taken(data, here):
    context = SimpleNamespace(params={"data": data}, args=())
    table, found = read_source(data).table, columns(context, "")
    assert [columns_of([name], table, "--target") for name in found] == [[name] for name in table.columns]
    assert columns_of([",".join(found)], table, "--inputs") == list(table.columns)
    assert columns(context, f"{found[0]},")[0] == f"{found[0]},{found[1]}"


REFUSALS = [
    (["discover", "t.csv", "-t", "y", "-i", "a,a"], ["--inputs", "'a' twice"]),
    (["discover", "t.csv", "-t", "y,y"], ["--target", "'y' twice"]),
    (["discover", "t.csv", "-t", "y", "--augment", "c = y/2"], ["the target 'y' may not be used"]),
    (["discover", "t.csv", "-t", "y", "--augment", "a = b"], ["new name"]),
    (["discover", "t.csv", "-t", "y", "--augment", "c = a/("], ["--augment 'c = a/('"]),
    (["discover", "t.csv", "-t", "y", "--seconds", "inf"], ["--seconds", "no limit"]),
    (["fit", "t.csv", "-t", "y", "-o", "m.kan", "--seconds", "nan"], ["--seconds"]),
    (["compile", "x", "--domain", "x:3:1"], ["--domain", "LOW < HIGH"]),
    (["compile", "x", "--domain", "x:0:inf"], ["--domain", "finite"]),
    (["compile", "x*("], ["(character 3 of 'x*(')"]),
    (["formula", "net.kan", "--where", "a > 1"], ["--where", "table"]),
    (["formula", "net.kan", "-t", "y"], ["--target", "table"]),
    (["plot", "net.kan", "--where", "a > 1", "-o", "x.svg"], ["--where", "table"]),
    (["explain", "net.kan", "--where", "a > 1"], ["--where", "--data"]),
    (["formula", "nett.kan"], ["no such file: 'nett.kan'. Did you mean 'net.kan'"]),
    (["predict", "nett.kan", "t.csv"], ["no such file: 'nett.kan'. Did you mean 'net.kan'"]),
    (["explain", "nett.kan"], ["no such file: 'nett.kan'. Did you mean 'net.kan'"]),
    (["tree", "nett.kan", "t.csv"], ["no such file: 'nett.kan'. Did you mean 'net.kan'"]),
    (["explain", "t.csv"], ["expected a network, got 't.csv', which is a table"]),
    (["predict", "t.csv", "net.kan"], ["expected a network, got 't.csv', which is a table"]),
    (["discover", "net.kan", "-t", "y"], ["expected a table, got 'net.kan', which is a network"]),
    (["info", "t.csv", "--decimal", ";"], ["--decimal"]),
    (["info", "t.csv", "--delimiter", "ab"], ["--delimiter"]),
    (["info", "t.csv", "--encoding", "zz"], ["--encoding"]),
    (["info", "t.csv", "--names", "a,b"], ["--names", "3"]),
]


@pytest.mark.parametrize(("words", "parts"), REFUSALS, ids=lambda value: " ".join(value)[:40])
def test_what_is_typed_wrong(words, parts, here):
    refused(kan2(*words), 2, *parts)


def test_conditions_are_told_by_the_names_of_the_table(here):
    result = kan2("predict", "net.kan", "t.csv", "--where", "a/0 > 1")
    refused(result, 2, "--where: ", "division by zero", "'a / 0'")
    assert "column_" not in result.stderr
    assert "^" not in result.stderr


def test_a_formula_that_needs_no_table_says_so(here):
    result = kan2("formula", "law.kan", "t.csv")
    assert (result.exit_code, result.stdout) == (0, "`x+y` = 3*a\n")
    assert "t.csv was not read" in result.stderr


def test_columns_that_tell_nothing_are_told(here):
    result = kan2("discover", "same.csv", "-t", "y", "--attempts", "1", "--seconds", "5", "-q")
    assert "y is 3 in all 16 rows" in result.stdout
    assert "law found" not in result.stdout
    result = kan2("fit", "twin.csv", "-t", "y", "--steps", "0", "-o", "m.kan")
    assert "x and z are equal in all rows" in result.stderr
    assert "left out the first column" in result.stderr
    assert MultKAN.load("m.kan").spec.inputs == ("x", "z")
    assert kan2("fit", "twin.csv", "-t", "y", "-i", "column1", "--steps", "0", "-o", "m.kan", "-f").exit_code == 0


def test_options_of_reading(here):
    def read(*words):
        result = kan2("info", *words)
        assert result.exit_code == 0, result.output
        return [line.split()[0] for line in result.stdout.splitlines()[5:]]

    assert read("semicolons.csv", "--no-header", "--decimal", ",") == ["x1", "x2"]
    assert read("semicolons.csv", "--names", "u,v", "--no-header", "--decimal", ",") == ["u", "v"]
    assert read("names.csv", "--names", "a,b,y") == ["a", "b", "y"]
    assert read("t.csv", "--delimiter", "comma", "--comment", "1,") == ["a", "b", "y"]
    assert read("latin.csv", "--encoding", "cp1252") == ["Länge", "y"]
    # One command leaves nothing for the next.
    refused(kan2("info", "names.csv"), 1, "add --names")
    (here / "p.csv").write_text(kan2("predict", "net.kan", "semicolons.csv", "--names", "a,b", "-q").stdout)
    assert (here / "p.csv").read_text().startswith("a,b,y\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("read: got '1,5'. Pass decimal=',' or decimal='.'.", "got '1,5'. Add --decimal ',' or --decimal '.'."),
        ("read: no. Pass names=, or header=False if so.", "no. Add --names, or --no-header if so."),
        (
            "read: no, or pass delimiter=, decimal= or comment= if.",
            "no, or add --delimiter, --decimal or --comment if.",
        ),
        ("read: more. Pass max_bytes= to read more.", "more."),
        ("compile: none. Pass domain={'x': (low, high)}.", "none. Add --domain x:LOW:HIGH."),
    ],
)
def test_remedies_can_be_typed(text, shown):
    assert _words.of_the_shell(text) == shown


def test_remedies_for_columns_need_no_python():
    error = NumberError("table: expected numbers, got text in column 'a.b'. Convert them, as a.astype(float).")
    error.kind = "text"
    line = _errors._line("fit", error)
    assert "astype" not in line
    assert "in column 'a.b'. Write what are numbers as numbers" in line


def test_long_lists_of_names_are_short():
    known = [f"name{i}" for i in range(90)]
    line = _errors._line("fit", UnknownNameError(f"get: unknown function 'name8x'. Known: {', '.join(known)}."))
    assert line.count(",") == 9
    assert "name8," in line
    assert line.endswith("and 80 more.")


def test_one_is_singular():
    assert _words.counted("1 steps, 21 steps, 1.1 nodes, 1 of 1 rows") == "1 step, 21 steps, 1.1 nodes, 1 of 1 row"


def test_a_number_and_its_percent_stay_together():
    shown = lines(["size", "error", "formula"], [["3", "1.9e-05 %", "a*b " * 30], ["5", "2 %", "a"]], 40)
    assert any("1.9e-05 %" in line for line in shown)
    assert "" not in shown
    assert all(line.isascii() for line in shown)


STARTS = ["from kan2.cli import main; main()", "import runpy; runpy.run_module('kan2', run_name='__main__')"]


@pytest.mark.parametrize("start", STARTS)
def test_ctrl_c_while_the_program_starts(start):
    # The signal comes with the first import of what the commands need.
    code = (
        "import builtins, os, signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "whole = builtins.__import__\n"
        "def slow(name, *rest, **more):\n"
        "    if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return whole(name, *rest, **more)\n"
        f"builtins.__import__ = slow\nsys.argv = ['kan2', 'datasets']\n{start}\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
    assert result.returncode == 130
    assert result.stderr == "kan2: datasets: interrupted before there was a result.\n"


def test_ctrl_c_after_the_result_changes_nothing():
    code = (
        "import atexit, signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def slow():\n    print('ending', flush=True)\n    time.sleep(1)\n"
        "atexit.register(slow)\nsys.argv = ['kan2', '--version']\nfrom kan2.cli import main; main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("kan2 ")
        assert process.stdout.readline() == "ending\n"
        time.sleep(0.1)
        process.send_signal(SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
