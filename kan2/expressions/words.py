"""Words of formulas that most likely mean something else than a variable, and what to write instead.

Reference: the habits of calculators, Python and textbooks.
"""

import re
import unicodedata
from difflib import get_close_matches

from kan2.expressions.characters import looks_of, plain_characters
from kan2.expressions.vocabulary import ALSO_VARIABLES, CONSTANTS, FUNCTIONS, IMAGINARY

BETWEEN = {
    "mod": "Write mod(a, b) or a % b",
    "rem": "Write mod(a, b) or a % b",
    "div": "Write floor(a/b), or a/b for the quotient",
    "xor": "Write (a and not b) or (b and not a)",
    "over": "Write a/b",
    "times": "Write a*b",
    "plus": "Write a + b",
    "minus": "Write a - b",
    "max": "Write max(a, b)",
    "min": "Write min(a, b)",
    "pow": "Write a**b",
    **dict.fromkeys(["in", "is", "for", "as", "while", "with", "then"], "Write * where a product is meant"),
}
"""Words that stand between two values as an operation or as Python, and would be read as a factor."""

NOT_NUMBERS = {
    **dict.fromkeys(("nan", "null", "none", "undefined"), "not a number"),
    **dict.fromkeys(("inf", "infinity", "oo", "zoo"), "not a finite number"),
}
MEANT = {
    "tg": "tan", "ctg": "cot", "cotg": "cot", "cosec": "csc", "sh": "sinh", "ch": "cosh", "th": "tanh", "lb": "log2",
    "lg": "log10 or log2", "log_2": "log2", "log_10": "log10", "arctg": "atan", "fabs": "abs", "pow": "**",
    "round": "floor(x + 1/2)", "int": "floor or sign(x)*floor(abs(x))", "trunc": "sign(x)*floor(abs(x))",
    "rem": "mod", "fmod": "mod", "arcsinh": "asinh", "expm1": "exp(x) - 1", "log1p": "log(1 + x)", "deg": "180/pi*x",
    "real": "re", "imag": "im", "conj": "conjugate", "angle": "arg",
}  # fmt: skip
GLUED = re.compile(
    r"(?:a?(?:sin|cos|tan)h?|arc(?:sin|cos|tan)|exp|log|ln|sqrt|cbrt|abs)(?=[0-9xyz])([0-9]*[A-Za-z]?)", re.ASCII
)


def strange_character(name: str) -> str:
    """Returns the digit of a name that is none of its letters, as in x①, or empty text."""
    strange = next((c for c in name if unicodedata.category(c) in ("No", "Nl") and not "₀" <= c <= "₉"), "")
    return strange or (name[0] if "₀" <= name[0] <= "₉" else "")


def means_else(name: str) -> bool:
    """Says whether formulas read a name, where it is not declared, as something else than the variable, or refuse it.

    Example:
        >>> [name for name in ("pi", "E", "sin", "gamma", "nan", "e", "ｘ") if means_else(name)]
        ['pi', 'E', 'sin', 'nan', 'ｘ']
    """
    if name in CONSTANTS or name in IMAGINARY:
        return True
    if name in FUNCTIONS:
        return name not in ALSO_VARIABLES
    if name.lower() in NOT_NUMBERS or GLUED.fullmatch(name):
        return True
    if name.isascii():
        return False
    functions = FUNCTIONS.keys() - ALSO_VARIABLES
    is_changed = "π" in name or plain_characters(name, ()) != name
    return is_changed or bool(strange_character(name)) or not functions.isdisjoint(looks_of(name))


def suggest(name: str) -> str:
    lowered = {known.lower(): known for known in sorted(FUNCTIONS, reverse=True)}
    if name.lower() in MEANT:
        return f" Write {MEANT[name.lower()]}."
    close = [lowered[match] for match in get_close_matches(name.lower(), lowered, n=2, cutoff=0.6)]
    return f" Did you mean {' or '.join(close)}?" if close else ""
