"""Units of measure in the names of columns: `v [m/s]`, `v (m/s)` and `T / K` are v in m/s and T in K.

What stands in square brackets is a unit, unless it is a number (`x[0]` is a name); in parentheses or behind a stroke it
must be written in symbols that are known here, since `f(x)` and `a / b` are names too.

Reference: BIPM, The International System of Units, 9th edition, section 5.
"""

import re
from collections import Counter
from collections.abc import Sequence

_PREFIXED = "m g s A K mol cd Hz N Pa J W C V F Ω ohm Ohm S Wb T H lm lx Bq Gy Sv L l eV bar pc cal B"
_PREFIXES = ("", *"YZEPTGMkhdcmµμunpfa", "da")
_WHOLE = """
min h hr hrs sec d day days yr year years deg degree degrees ° °C °F degC degF % ‰ ppm ppb rad sr arcsec arcmin au AU
Da u in inch inches ft feet yd mi mile miles mph kn lb lbs oz psi atm mmHg inHg Torr torr rpm dB px ha t second seconds
minute minutes hour hours meter metre meters metres kelvin gram grams kilogram kilograms joule joules volt volts ampere
watt watts newton newtons pascal hertz tesla coulomb mole moles kg
"""
SYMBOLS = frozenset([prefix + symbol for symbol in _PREFIXED.split() for prefix in _PREFIXES] + _WHOLE.split())
"""Symbols of units, those of the SI with their prefixes."""

_FACTOR = re.compile(r"(?P<symbol>[^\d\s^*+\-−⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)(?:(?:\^|\*\*)?(?:[+\-−]?\d+|⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))?")
_BRACKETS = re.compile(r"(?P<name>.*?\S)(?P<gap>\s*)\[(?P<unit>[^\[\]]+)\]", re.DOTALL)
_PARENTHESES = re.compile(r"(?P<name>[^()]*[^()\s])(?P<gap>\s*)\((?P<unit>.+)\)", re.DOTALL)
_STROKE = re.compile(r"(?P<name>.*?\S)\s+/\s+(?P<unit>\S.*)", re.DOTALL)


def is_unit(text: str) -> bool:
    """Tells whether a text is clearly a unit: symbols, powers, products and quotients of them.

    Example:
        >>> [is_unit(text) for text in ("m/s^2", "J/(mol K)", "µm", "cm-1", "x", "speed")]
        [True, True, True, True, False, False]
    """
    factors = [f for f in re.split(r"[\s·⋅×/()]+|(?<!\*)\*(?!\*)|(?<=[A-Za-zΩµμ])\.", text.strip()) if f]
    if factors and len(factors) > 1 and re.fullmatch(r"1|10(?:\^|\*\*)?[-−]?\d+", factors[0]):
        factors = factors[1:]
    matches = [_FACTOR.fullmatch(factor) for factor in factors]
    return bool(matches) and all(m is not None and m["symbol"] in SYMBOLS for m in matches)


def name_and_unit(text: str) -> tuple[str, str]:
    """Splits the name of a column into the name and its unit, which is empty where there is none.

    Example:
        >>> name_and_unit("v [m/s]"), name_and_unit("T / K"), name_and_unit("f(x)"), name_and_unit("x[0]")
        (('v', 'm/s'), ('T', 'K'), ('f(x)', ''), ('x[0]', ''))
    """
    text = text.strip()
    if (found := _BRACKETS.fullmatch(text)) is not None:
        unit = found["unit"].strip()
        is_index = re.fullmatch(r"[\d\s,:]*", unit) is not None and not (found["gap"] and unit == "1")
        return (text, "") if is_index or not unit else (found["name"], "1" if unit == "-" else unit)
    if (found := _PARENTHESES.fullmatch(text)) is not None:
        unit = found["unit"].strip()
        # "n(s)" without a space is rather a function of s.
        return (found["name"], unit) if is_unit(unit) and (found["gap"] or len(unit) > 1) else (text, "")
    if (found := _STROKE.fullmatch(text)) is not None and is_unit(found["unit"]):
        return found["name"], found["unit"].strip()
    return text, ""


def split_names(texts: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Returns the names of columns without units, and the units by name; names that would be the same keep theirs.

    Example:
        >>> split_names(["t [s]", "v [m/s]", "v [km/h]"])
        (['t', 'v [m/s]', 'v [km/h]'], {'t': 's', 'v [m/s]': 'm/s', 'v [km/h]': 'km/h'})
    """
    pairs = [name_and_unit(text) for text in texts]
    count = Counter(name for name, _ in pairs)
    names = [name if count[name] == 1 else text.strip() for (name, _), text in zip(pairs, texts)]
    return names, {name: unit for name, (_, unit) in zip(names, pairs) if unit}


def unit_of_row(cell: str) -> str | None:
    """Returns the unit in a cell of a row of units, "" for an empty one, None for anything else.

    Example:
        >>> unit_of_row("[m/s]"), unit_of_row("-"), unit_of_row("Smith")
        ('m/s', '', None)
    """
    text = cell.strip()
    if text in ("", "-", "[-]", "(-)", "[]", "()", "1", "[1]", "(1)"):
        return ""
    bracketed = re.fullmatch(r"\[([^\[\]]+)\]|\((.+)\)", text)
    if bracketed is not None and bracketed[1] is not None:
        return bracketed[1].strip()
    inner = bracketed[2].strip() if bracketed is not None else text
    return inner if is_unit(inner) else None
