"""Units of theories: terms that agree, units that follow, and units that do not go together."""

import pytest

import kanpiler
from kan2.errors import UnitError, UnknownNameError
from kanpiler import Parameter

pytest.importorskip("pint")


def units_of(text, parameters, units, unknown=None):
    net = kanpiler.compile(text, parameters=parameters, unknown=unknown, units=units)
    return [one.unit for one in net.theory.parameters]


@pytest.mark.parametrize(
    ("text", "names", "unknown", "units", "expected"),
    [
        ("x = A*exp(-k*t)*cos(w*t + phi)", "A k w phi", None, {"t": "s", "x": "m"}, ["m", "1/s", "1/s", "1"]),
        ("x = A*exp(-k*t) + f(T)", "A k", ["f"], {"t": "s", "x": "mm", "T": "K"}, ["mm", "1/s"]),
        ("y = V*S/(K + S)", "V K", None, {"S": "mol/m^3", "y": "mol/s"}, ["mol/s", "mol/m^3"]),
        ("x = v*t", "v", None, {"t": "min", "x": "km"}, ["km/min"]),
        ("F = -k*x - f'(x)", "k", ["f"], {"x": "m", "F": "N"}, ["kg/s^2"]),
        ("f(x) = f(k*y)", "k", ["f"], {"x": "m", "y": "s"}, ["m/s"]),
        ("v*(1 - v/c) = u", "c", None, {"v": "m/s", "u": "m/s"}, ["m/s"]),
        ("y = A*B*x", "A B", None, {"x": "m", "y": "s"}, ["", ""]),
        ("x = a*t^2", "a", None, {"t": "s", "x": "km/h"}, [""]),
        ("y = 2*x", "", None, {"x": "1", "y": "1"}, []),
    ],
)
def test_units_of_parameters_follow(text, names, unknown, units, expected):
    assert units_of(text, names.split(), units, unknown) == expected


def test_the_table_has_units():
    net = kanpiler.compile("x = v*t", parameters=["v"], units={"t": "s", "x": "m"})
    net.fit({"t": [1, 2, 3], "x": [2.0, 4.1, 5.9]})
    assert net.parameters_table().splitlines()[1].endswith("m/s")


@pytest.mark.parametrize(
    ("text", "parameters", "units", "told"),
    [
        ("x = v*t + a*t", {"v": Parameter(unit="m/s"), "a": Parameter(unit="m/s^2")}, {"t": "s", "x": "m"},
         r"one dimension, got a\*t \+ t\*v, with a\*t in m/s and t\*v in m"),
        ("x = A*exp(t)", ["A"], {"t": "s", "x": "m"}, r"got exp\(t\), with t in s"),
        ("x = v*t", {"v": Parameter(unit="kg")}, {"t": "s", "x": "m"}, r"got x = t\*v, with x in m and t\*v in kg s"),
        ("y = f(x) + f(t)", None, {"x": "m", "t": "s"}, r"f\(t\)|f\(x\)"),
        ("x = v*t", {"v": Parameter(unit="m/s")}, {"t": "s", "x": "mm"}, "one system, got .*x in mm, v in m/s"),
        ("x = v*t", ["v"], {"t": "blorp"}, "compile: expected the unit of column 't'"),
    ],
)  # fmt: skip
def test_units_that_do_not_agree_are_refused(text, parameters, units, told):
    with pytest.raises(UnitError, match=told):
        kanpiler.compile(text, parameters=parameters, unknown=["f"] if "f(" in text else None, units=units)


def test_units_are_of_columns_and_outputs(unchecked):
    with pytest.raises(UnknownNameError, match="compile: units: unknown column or output 'q'"):
        units_of("x = v*t", ["v"], {"q": "s"})
    with pytest.raises(kanpiler.CompileError, match="units as a mapping"):
        kanpiler.compile("v*t", parameters=["v"], units="s")
