"""What the command line passes on to the search for a law: forms, guesses and constants."""

import numpy as np
import pytest

from tests.unit.test_cli_errors import kan2, refused

A, B = np.random.default_rng(0).uniform(1, 2, (2, 60))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n" + "".join(f"{a!r},{b!r},{9.81 * a * b!r}\n" for a, b in zip(A.tolist(), B.tolist())))
    return str(path)


def test_forms_and_constants(table):
    result = kan2("discover", table, "-t", "y", "--template", "a*f(b)", "--constant", "g=9.81", "-q")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "y = g*a*b"


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("--template", "f(a", "expected a formula"),
        ("--template", "f(aa)", "Did you mean 'a'"),
        ("--guess", "k*(", "expected a formula"),
        ("--constant", "zz", "unknown constant 'zz'"),
        ("--constant", "g=x", "NAME=NUMBER"),
        ("--constant", "a=2", "no column has"),
    ],
)
def test_what_is_typed_wrongly_is_refused(table, option, value, part):
    # A formula that cannot be read ends with 1, as it does in all commands.
    status = 1 if part == "expected a formula" else 2
    refused(kan2("discover", table, "-t", "y", option, value), status, part)
