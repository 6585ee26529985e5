"""Characters of formulas: signs and digits of other scripts, characters that are not seen, and remedies for the others.

Reference: https://www.unicode.org/reports/tr36/ for characters that look alike or are not seen.
"""

import unicodedata
from collections.abc import Collection

from kan2.expressions.vocabulary import GREEK

LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
RAISED = "".join(SUPERSCRIPTS)
FRACTIONS = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞↉"
NO_LETTERS = RAISED + FRACTIONS + "⅟"
ROOTS = {"√": 2, "∛": 3, "∜": 4}
SAME = {
    **dict.fromkeys("·×∙⋅•∗✕⨯", "*"),
    **dict.fromkeys("÷∕⁄", "/"),
    **dict.fromkeys("−‐‑‒–", "-"),
    **{"≤": "<=", "≥": ">=", "≠": "!=", "∧": "and", "∨": "or"},
}
REMEDIES = {
    "=": "Use == to compare, or give the right-hand side only",
    "±": "Write two formulas, one with + and one with -",
    "∓": "Write two formulas, one with + and one with -",
    "°": "Write *pi/180 for degrees",
    "'": "Write diff(f, x) for a derivative, or another name",
    "′": "Write diff(f, x) for a derivative, or another name",
    "—": "Write - for minus",
    "∑": "Write Sum(formula, (k, low, high))",
    "∏": "Write Product(formula, (k, low, high))",
    "∫": "Write Integral(formula, (x, low, high))",
    "∂": "Write diff(formula, x)",
    "⌊": "Write floor(...)",
    "⌋": "Write floor(...)",
    "⌈": "Write ceil(...)",
    "⌉": "Write ceil(...)",
    "[": "Use ( and ), or Matrix([x, y])[0] for an element of a matrix",
    "]": "Use ( and ), or Matrix([x, y])[0] for an element of a matrix",
    "{": "Use ( and )",
    "}": "Use ( and )",
    ";": "Give one formula",
    "#": "Leave comments out",
    "&": "Write and between conditions",
    "~": "Write not before a condition",
    "@": "Write * for products",
    "‰": "Write /1000",
    "ⁿ": "Write **n",
}
# Small letters first; a Greek letter with a name of its own is told apart by that name.
LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһӏԛԝАВЕКМНОРСТУХІЈЅοανρικυγχΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɑɡℓ",
    "aeopcyxijsdhlqwABEKMHOPCTYXIJSoavpikuyxABEZHIKMNOPTYXiagl",
)


def plain_characters(text: str, names: Collection[str]) -> str:
    """Replaces digits of other scripts, full-width and mathematical letters by the plain ones, one for one."""
    if text.isascii():
        return text
    declared = set("".join(names))

    def plain(character: str) -> str:
        if character.isascii() or character in declared:
            return character
        if unicodedata.category(character) == "Nd":
            return str(unicodedata.digit(character))
        if "\uff01" <= character <= "\uff5e" or "\U0001d400" <= character <= "\U0001d7ff" or character == "\u3000":
            same = unicodedata.normalize("NFKC", character)
            return same if len(same) == 1 else character
        return character

    return "".join(map(plain, text))


def fraction_of(character: str) -> tuple[int, int] | None:
    parts = unicodedata.normalize("NFKC", character).split("\u2044")
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(part.isdigit() for part in parts) else None


def unknown_character(character: str) -> str:
    kind = unicodedata.category(character)
    if kind in ("Cf", "Cc", "Mn", "Me", "Mc", "Co", "Cs", "Cn"):
        name = unicodedata.name(character, "a control character")
        return f"expected a formula, got the invisible character U+{ord(character):04X} ({name}). Delete it."
    remedy = f" {REMEDIES[character]}." if character in REMEDIES else ""
    return f"expected a formula, got the character {character!r}.{remedy}"


def looks_of(name: str) -> set[str]:
    """The plain names that a name can be taken for."""
    same = unicodedata.normalize("NFKC", name)
    return {same, same.translate(LOOKALIKES), GREEK.get(same, same)}
