r"""Pieces of LaTeX: what stands between spaces, commands and brackets, in one spelling each.

`cut` makes tokens of text: names in \text and in backquotes are one token, an upright d is `\mathrm{d}`, and \left| is
\lvert.

Reference: https://www.latex-project.org/help/documentation/
"""

import re
from collections.abc import Sequence

from kan2.expressions.symbols import QUOTED, QUOTED_LATEX, name_of_latex

_GREEK_NAMES = """
alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon phi
varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar ell
"""
_FUNCTION_NAMES = """
sin cos tan sec csc cot sinh cosh tanh coth sech csch exp log ln arcsin arccos arctan arsinh arcosh artanh max min
erf erfc sgn sign sinc
"""
GREEK, FUNCTIONS = frozenset(_GREEK_NAMES.split()), frozenset(_FUNCTION_NAMES.split())
BRACKETS = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", "|": "|", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil",
             r"\lvert": r"\rvert"}  # fmt: skip
CLOSING = {")", "]", "}", r"\}", r"\rfloor", r"\rceil", r"\rvert"}
_SPACE = {r"\,", r"\;", r"\!", r"\:", r"\ ", r"\quad", r"\qquad", "~", "&", r"\displaystyle", r"\limits", "$"}
TIMES = {r"\cdot", r"\times", "*", r"\ast"}
COMPLEX = {"Re": "re", "Im": "im", "re": "re", "im": "im", "arg": "arg", "conjugate": "conjugate"}
CONJUGATES = {r"\overline", r"\bar"}
FRACTIONS = {r"\frac", r"\dfrac", r"\tfrac"}
UPRIGHT = {r"\operatorname", r"\mathrm", r"\text", r"\mathit"}
_SIZES = {r"\left", r"\right", r"\big", r"\Big", r"\bigg"}
UPRIGHT_D = r"\mathrm{d}"
OPERATIONS = {*TIMES, "/", r"\div", "=", ",", "<", ">", "^", "_", "!"}
_TOKEN = re.compile(
    rf"{QUOTED_LATEX}|{QUOTED}|\\text\s*\{{[^\\{{}}]*\}}|\\mathrm\s*(?:\{{\s*d\s*\}}|d(?![a-zA-Z]))"
    r"|\\(?:left|right)\s*\||\\[a-zA-Z]+|\\.|\d+\.?\d*|\.\d+|\s+|.",
    re.DOTALL,
)


def cut(text: str) -> tuple[list[str], set[int]]:
    r"""Returns the tokens of a formula, and the positions of those that stand after a space.

    Example:
        >>> cut(r"k_\mathrm{B} T")
        (['k', '_', '\\mathrm', '{', 'B', '}', 'T'], {6})
    """
    tokens: list[str] = []
    apart: set[int] = set()
    for token in map(_whole, _TOKEN.findall(text)):
        if token.isspace() or token in _SPACE:
            apart.add(len(tokens))
        elif token not in _SIZES:
            tokens.append(token)
    return tokens, apart


def _whole(token: str) -> str:
    r"""Brings what is one token in several spellings to one: names in \text, an upright d, bars with \left."""
    if re.fullmatch(QUOTED_LATEX, token):
        return name_of_latex(token)
    if token.startswith(r"\text") and token.endswith("}"):
        return r"\text{" + token.partition("{")[2]
    if token.startswith(r"\mathrm") and token != r"\mathrm":
        return UPRIGHT_D
    if token.endswith("|") and token.startswith((r"\left", r"\right")):
        return r"\lvert" if token.startswith(r"\left") else r"\rvert"
    return token


def kind_of(token: str) -> str:
    # What `readings` wants to know of a token.
    if token == "|":
        return "|"
    if token in CLOSING:
        return ")"
    if token in BRACKETS:
        return "("
    if token in OPERATIONS:
        return "postfix" if token == "!" else "operator"
    is_command = token.startswith("\\") and token[1:] not in ("pi", *GREEK) and "{" not in token
    return "sign" if token in ("+", "-") else "prefix" if is_command else "value"


def group_length(tokens: Sequence[str], start: int) -> int:
    """Returns how many tokens the group takes that opens at a place."""
    depth = 0
    for i in range(start, len(tokens)):
        depth += (tokens[i] == "{") - (tokens[i] == "}")
        if depth == 0:
            return i + 1 - start
    return len(tokens) - start


def is_list(text: str) -> bool:
    # Whether a comma stands outside of all parentheses and backquotes.
    depth = 0
    for character in re.sub(QUOTED, "", text):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            return True
    return False
