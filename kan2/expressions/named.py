"""Constants with a name: numbers that print as a symbol, such as G and k_B, and are computed with as numbers.

Values are those that CODATA recommends, in SI units, as `scipy.constants` has them, or the caller's own.

Reference: Mohr, Newell, Taylor, Tiesinga, CODATA recommended values of the fundamental physical constants: 2022.
"""

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import sympy
from mpmath.libmp import from_float, mpf_pos
from numpy import ndarray

from kan2 import options
from kan2.errors import OptionError, unknown_name
from kan2.expressions.symbols import quoted

USUAL = {
    "c": "speed of light in vacuum",
    "h": "Planck constant",
    "hbar": "reduced Planck constant",
    "G": "Newtonian constant of gravitation",
    "g": "standard acceleration of gravity",
    "e": "elementary charge",
    "k_B": "Boltzmann constant",
    "N_A": "Avogadro constant",
    "R": "molar gas constant",
    "F": "Faraday constant",
    "epsilon_0": "vacuum electric permittivity",
    "mu_0": "vacuum mag. permeability",
    "Z_0": "characteristic impedance of vacuum",
    "m_e": "electron mass",
    "m_p": "proton mass",
    "m_n": "neutron mass",
    "m_u": "atomic mass constant",
    "sigma": "Stefan-Boltzmann constant",
    "alpha": "fine-structure constant",
    "R_inf": "Rydberg constant",
    "a_0": "Bohr radius",
    "r_e": "classical electron radius",
    "E_h": "Hartree energy",
    "mu_B": "Bohr magneton",
    "mu_N": "nuclear magneton",
    "Phi_0": "mag. flux quantum",
    "K_J": "Josephson constant",
    "R_K": "von Klitzing constant",
    "b_W": "Wien wavelength displacement law constant",
    "eV": "electron volt",
    "atm": "standard atmosphere",
}
"""Usual symbols, and what CODATA calls them."""


class NamedConstant(sympy.NumberSymbol):
    """A real number that prints as its name.

    Example:
        >>> G = NamedConstant("G", 6.6743e-11)
        >>> print(2 * G * sympy.Symbol("m"), float(2 * G))
        2*G*m 1.33486e-10
    """

    __slots__ = ("name", "value")
    is_real = True
    name: str
    value: float

    def __new__(cls, name: str, value: float) -> "NamedConstant":
        self: Any = super().__new__(cls)
        self.name, self.value = name, float(value)
        return self

    def __getnewargs__(self) -> Any:
        return self.name, self.value

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.name, self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedConstant) and self._hashable_content() == other._hashable_content()

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = sympy.Basic.__hash__

    def _as_mpf_val(self, prec: int) -> Any:
        return mpf_pos(from_float(self.value), prec, "n")

    def approximation_interval(self, number_cls: type) -> Any:
        """Returns whole numbers around the value, as `floor` asks for."""
        return sympy.Integer(math.floor(self.value)), sympy.Integer(math.floor(self.value) + 1)

    def _eval_is_extended_positive(self) -> bool:
        return self.value > 0

    def _eval_is_extended_negative(self) -> bool:
        return self.value < 0

    def _eval_is_zero(self) -> bool:
        return self.value == 0

    def _eval_is_integer(self) -> bool:
        return self.value.is_integer()

    def sort_key(self, order: Any = None) -> Any:
        """Returns where SymPy puts it: among the numbers, by name."""
        return self.class_key(), (1, (self.name,)), sympy.S.One.sort_key(), sympy.S.One

    def _sympystr(self, _printer: Any) -> str:
        return quoted(self.name)

    def _latex(self, printer: Any) -> str:
        return printer._print(sympy.Symbol(self.name))

    def _pretty(self, printer: Any) -> Any:
        return printer._print(sympy.Symbol(self.name))

    def _numpycode(self, _printer: Any) -> str:
        # SymPy takes numbers for positive: without parentheses -1.5**2 would be negative.
        return f"({self.value!r})"

    _pythoncode = _numpycode


def named_constants(value: Any, columns: tuple[str, ...] = (), where: str = "discover") -> tuple[NamedConstant, ...]:
    """Returns the constants that a caller names.

    Args:
        value: usual symbols such as "G" and "k_B", names of CODATA, or a mapping of names to numbers; None for none.
        columns: names that are taken.
        where: name of the function, for messages.

    Raises:
        UnknownNameError: there is no such constant.
        OptionError: these are no names, one is that of a column, or a value is no finite number but 0.

    Example:
        >>> named_constants(["c"]), named_constants({"g": 9.81})[0].value
        ((c,), 9.81)
    """
    if value is None:
        return ()
    if isinstance(value, Mapping):
        known = {}
        for name, number in value.items():
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if not isinstance(name, str) or not is_number or not math.isfinite(number) or number == 0:
                raise OptionError(
                    f"{where}: expected constants as names and numbers that are finite and not 0, got {name!r}: "
                    f"{number!r}. Pass constants={{'g': 9.81}}."
                )
            known[name] = float(number)
    else:
        names = [value] if isinstance(value, str) else value
        if isinstance(names, ndarray | set | frozenset) or not hasattr(names, "__iter__"):
            raise OptionError(
                f"{where}: expected constants as names or as a mapping of names to numbers, got {value!r}. Pass "
                "constants=['G', 'c'] or constants={'g': 9.81}."
            )
        known = {name: value_of(name, where) for name in options.names(where, "constants", names)}
    if taken := [name for name in known if name in columns]:
        raise OptionError(
            f"{where}: expected names of constants that no column has, got {', '.join(taken)}. Rename the column, or "
            f"name the constant yourself: constants={{'{taken[0]}_0': {known[taken[0]]!r}}}."
        )
    return tuple(NamedConstant(name, number) for name, number in known.items())


def value_of(name: str, where: str = "discover") -> float:
    """Returns the value of a constant in SI units, by its usual symbol or its name in CODATA.

    Raises:
        UnknownNameError: there is no such constant.
    """
    from scipy.constants import physical_constants

    full = USUAL.get(name, name)
    if full not in physical_constants:
        raise unknown_name(where, "constant", name, [*USUAL, *_near(name, list(physical_constants))])
    return float(physical_constants[full][0])


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Returns names like one, or with a word like it; all 400 are no help."""
    found = get_close_matches(name, known, n=3, cutoff=0.6)
    of_word = {word.lower(): one for one in reversed(known) for word in one.split()}
    return list(dict.fromkeys([*found, *(of_word[word] for word in get_close_matches(name.lower(), of_word, n=2))]))
