r"""LaTeX formulas: a grammar of its own for what stands in papers.

The text is rewritten as a calculator-style formula, which `kan2.expressions.parse` reads; so what is allowed and how
errors look is decided in one place. Understood are \frac, \sqrt[n]{}, powers, \left \right and |...|, functions with
and without parentheses (`\sin 2x`, `\sin^2 x`, `\log_2 x`), Greek letters, \operatorname, subscripts (`x_1`,
`E_{kin}`), \sum and \prod with whole-number limits, \int with limits and `\,dx`, \exp, `e^{...}`, \pi, \cdot, \times.

Reference: https://www.latex-project.org/help/documentation/
"""

import re
from collections.abc import Sequence

import sympy

from kan2.expressions.parse import MAX_DEPTH, MAX_TEXT, parse_expression
from kanpiler.errors import ParseError

_GREEK = """
alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon phi
varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar ell
"""
_FUNCTIONS = """
sin cos tan sec csc cot sinh cosh tanh coth sech csch exp log ln arcsin arccos arctan arsinh arcosh artanh max min
erf erfc sgn sign sinc
"""
_SPELLED = sorted({*_FUNCTIONS.split(), "mod"} - {"sec", "max", "min"}, key=len, reverse=True)
_INVERSE = {"sin": "asin", "cos": "acos", "tan": "atan", "sinh": "asinh", "cosh": "acosh", "tanh": "atanh"}
_BRACKETS = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", "|": "|", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil",
             r"\lvert": r"\rvert"}  # fmt: skip
_CLOSING = {")", "]", "}", r"\}", r"\rfloor", r"\rceil", r"\rvert"}
_AROUND = {"|": "abs", r"\lvert": "abs", r"\lfloor": "floor", r"\lceil": "ceil"}
_SPACE = {r"\,", r"\;", r"\!", r"\:", r"\ ", r"\quad", r"\qquad", "~", "&", r"\displaystyle", r"\limits", "$"}
_TIMES = {r"\cdot", r"\times", "*", r"\ast"}
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+\.?\d*|\.\d+|\s+|.", re.DOTALL)


def parse_latex(text: str, names: Sequence[str] | None = None) -> sympy.Expr:
    r"""Reads a formula in LaTeX.

    Letters next to each other are a product, as LaTeX prints them: `xy` is x times y, unless `xy` is a declared name.
    Letters that spell a function, such as `cos x` without a backslash, are refused. `e^{...}` is the exponential
    function, as papers and SymPy print it, and `\mathrm{e}` is Euler's number; a bare `e` or `E` is refused, and so is
    `i`, unless they are declared. `\sqrt[3]{x}` is real for negative x.

    Args:
        text: the formula, with or without dollar signs.
        names: the variables that may occur; None allows any.

    Returns:
        The SymPy expression over plain symbols.

    Raises:
        ParseError: this is not a formula of the grammar.
        ExpressionError: the formula names something unknown.

    Example:
        >>> parse_latex(r"\frac{m_0}{\sqrt{1 - v^2/c^2}}")
        m_0/sqrt(1 - v**2/c**2)
    """
    if len(text) > MAX_TEXT:
        raise ParseError(f"compile: expected at most {MAX_TEXT} characters, got {len(text)}. Split it.")
    if r"\input" in text or r"\def" in text:
        raise ParseError("compile: expected a formula, got a LaTeX definition.")
    reader = _Reader(text, names)
    formula = reader.expression(end=None)
    return parse_expression(formula, names)


class _Reader:
    """A recursive-descent reader that writes calculator-style text, every product and parenthesis spelled out."""

    def __init__(self, text: str, names: Sequence[str] | None) -> None:
        tokens = [token for token in _TOKEN.findall(text) if not token.isspace() and token not in _SPACE]
        self.tokens = [token for token in tokens if token not in (r"\left", r"\right", r"\big", r"\Big", r"\bigg")]
        self.names = set(names or ())
        self.longest = max(map(len, self.names), default=0)
        self.bound: list[str] = []
        self.position = self.depth = self.integrals = 0

    @property
    def token(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self, expected: str | None = None) -> str:
        token = self.token
        if token is None or (expected is not None and token != expected):
            found = "the end of the text" if token is None else repr(token)
            before = "".join(self.tokens[max(0, self.position - 8) : self.position])
            raise ParseError(f"compile: expected {expected or 'more'!r} after {before!r}, got {found}.")
        self.position += 1
        return token

    def expression(self, end: str | None) -> str:
        """Reads sums up to a closing token, which it takes."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError("compile: expected a formula, got one nested too deeply.")
        parts = []
        # Where a value must come, a bar opens a new absolute value instead of closing this one.
        while self.token is not None and (self.token != end or (end == "|" and parts and parts[-1] in ("+", "-", ","))):
            if self.token in ("+", "-", "=", ",", "<", ">", r"\pm"):
                sign = self.take()
                if sign not in "+-,":
                    raise ParseError(f"compile: expected a formula, got {sign!r} in it.")
                parts.append(sign)
            else:
                parts.append(self.term(end))
        if end is not None:
            self.take(end)
        self.depth -= 1
        if not parts:
            raise ParseError("compile: expected a formula, got empty text.")
        return "".join(parts)

    def term(self, end: str | None) -> str:
        """Reads a product."""
        result, is_divided = self.power(end), False
        while self.token is not None and self.token not in ("+", "-", ",", "=", "<", ">", r"\pm", end):
            if self.token in _TIMES:
                is_divided = False
                self.take()
                result += "*" + self.power(end)
            elif self.token in ("/", r"\div"):
                self.take()
                result += "/" + self.power(end)
                is_divided = True
            elif self.token in _CLOSING or self._is_differential():
                break
            elif is_divided:
                raise ParseError("compile: a product without \\cdot after / is ambiguous. Use \\frac or \\cdot.")
            else:
                self._check_numbers()
                result += "*" + self.power(end)
        return result

    def _check_numbers(self) -> None:
        """Refuses numbers side by side, such as `1\\,000` and `1.2.3`, which are no product."""
        before, after = self.tokens[self.position - 1], self.token or ""
        if all(token[:1].isdigit() or token[:1] == "." for token in (before, after)):
            raise ParseError(
                f"compile: the numbers {before} and {after} side by side can be read in two ways. Write the number "
                "without spaces, or \\cdot."
            )

    def _is_differential(self) -> bool:
        return self.token == "d" and self.integrals > 0 and self.position + 1 < len(self.tokens)

    def power(self, end: str | None) -> str:
        """Reads a factor with its exponents."""
        if self.token in ("+", "-"):
            return f"({self.take()}{self.power(end)})"
        base = self.atom()
        while self.token == "^":
            self.take()
            base = f"({base})**({self.argument('^')})"
        if self.token == "!":
            self.take()
            base = f"factorial({base})"
        return base

    def argument(self, command: str = "") -> str:
        """Reads what a command or ^ applies to: a group or a single token."""
        if self.token == "{":
            self.take()
            return self.expression("}")
        if self.token in ("-", "+"):
            return self.take() + self.argument(command)
        if self.token is not None and self.token[0].isdigit() and len(self.token) > 1:
            if command == "^":
                # LaTeX prints x^10 as x^1 followed by 0; nobody means that.
                raise ParseError(f"compile: {self.token!r} after ^ needs braces: {{{self.token}}}.")
            self.tokens[self.position : self.position + 1] = list(self.token)
        return self.atom()

    def atom(self) -> str:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return token
        if token in _BRACKETS:
            inner = self.expression(_BRACKETS[token])
            return f"{_AROUND.get(token, '')}({inner})"
        if token == r"\frac" or token in (r"\dfrac", r"\tfrac"):
            return f"(({self.argument()})/({self.argument()}))"
        if token == r"\sqrt":
            root = None
            if self.token == "[":
                self.take()
                root = self.expression("]")
            inner = self.argument()
            return f"sqrt({inner})" if root is None else f"root({inner},{root})"
        if token in (r"\operatorname", r"\mathrm", r"\text", r"\mathit"):
            word = self._word()
            if token == r"\mathrm" and word == "e" and word not in self.names:
                return "ℯ"
            return self.function(word) if word in _FUNCTIONS.split() or self.token == "(" else self.name(word)
        if token in (r"\sum", r"\prod"):
            return self.finite_sum("Sum" if token == r"\sum" else "Product")
        if token == r"\int":
            return self.integral()
        if token.startswith("\\"):
            word = token[1:]
            if word in _FUNCTIONS.split():
                return self.function(word)
            if word == "pi":
                return "pi"
            if word == "infty":
                return "oo"
            if word in _GREEK.split():
                return self.name(word.replace("var", "") if word not in self.names else word)
            raise ParseError(f"compile: unknown LaTeX command {token}.")
        if token.isalpha():
            word = self._longest_name(token)
            if len(word) == 1:
                self._check_spelling(token)
            return self.name(word)
        raise ParseError(f"compile: expected a formula, got {token!r}.")

    def _check_spelling(self, first: str) -> None:
        """Refuses letters that spell a function, which LaTeX would print as a product."""
        word = first
        for token in self.tokens[self.position :]:
            if not (len(token) == 1 and token.isalpha()):
                break
            word += token
        spelled = next((f for f in _SPELLED if word.startswith(f)), None)
        if spelled and not self.names.issuperset(spelled):
            written = f"\\operatorname{{{spelled}}}(a, b)" if spelled == "mod" else f"\\{spelled}"
            raise ParseError(
                f"compile: {spelled!r} can be read in two ways. Write {written}, or \\cdot between letters."
            )

    def _longest_name(self, first: str) -> str:
        """Takes several letters where together they are a declared name, as in `kb`."""
        for length in range(min(self.longest, len(self.tokens) - self.position + 1), 1, -1):
            word = first + "".join(self.tokens[self.position : self.position + length - 1])
            if word in self.names:
                self.position += length - 1
                return word
        return first

    def _word(self) -> str:
        self.take("{")
        letters = []
        while self.token != "}":
            letters.append(self.take())
        self.take("}")
        word = "".join(letters)
        if not word.isidentifier():
            raise ParseError(f"compile: expected a name in \\operatorname, got {word!r}.")
        return word

    def name(self, word: str) -> str:
        """Adds a subscript to a letter."""
        if self.token == "_":
            self.take()
            subscript = self._subscript()
            joined = [f"{word}_{subscript}", f"{word}{subscript}"]
            word = next((name for name in joined if name in self.names), joined[0])
        elif word == "e" and word not in self.names:
            return "ℯ"
        elif word == "i" and word not in self.names and word not in self.bound:
            raise ParseError("compile: 'i' is not a real number. Declare it as an input to use it as a variable.")
        return word

    def _subscript(self) -> str:
        if self.token == "{":
            self.take()
            parts = []
            while self.token != "}":
                part = self.take()
                if part not in (r"\mathrm", r"\text", "{"):
                    parts.append(part.lstrip("\\"))
            self.take("}")
            if self.token == "}":
                self.take()
            subscript = "".join(parts)
        else:
            subscript = self.take().lstrip("\\")
        if not f"x{subscript}".isidentifier():
            raise ParseError(f"compile: expected letters or digits as subscript, got {subscript!r}.")
        return subscript

    def function(self, word: str) -> str:
        """Reads a function: with parentheses, or everything up to the next sum sign, as in `\\sin 2 x`."""
        name, power, base = {"sgn": "sign"}.get(word, word), None, None
        while self.token in ("^", "_"):
            if self.take() == "^":
                power = self.argument()
            else:
                base = self.argument()
        if power in ("-1", "(-1)") and word in _INVERSE:
            name, power = _INVERSE[word], None
        if self.token is not None and self.token in _BRACKETS:
            token = self.take()
            inner = f"{_AROUND.get(token, '')}({self.expression(_BRACKETS[token])})"
            inner = inner[1:-1] if token not in _AROUND else inner
        else:
            inner = self._bare_argument()
        result = f"{name}({inner}{f',{base}' if base else ''})"
        return f"({result})**({power})" if power else result

    def _bare_argument(self) -> str:
        factors = [self.power(None)]
        stops = {"+", "-", ",", "=", "/", r"\div", "(", "|", *_CLOSING, *_TIMES}
        while self.token is not None and self.token not in stops and self.token[1:] not in _FUNCTIONS.split():
            if self._is_differential():
                break
            self._check_numbers()
            factors.append(self.power(None))
        return "*".join(factors)

    def finite_sum(self, head: str) -> str:
        self.take("_")
        self.take("{")
        self.bound.append(self.token or "")
        variable = self.name(self.take().lstrip("\\"))
        self.take("=")
        low = self.expression("}")
        self.take("^")
        high = self.argument()
        body = self.term(None)
        self.bound.pop()
        return f"{head}({body},({variable},{low},{high}))"

    def integral(self) -> str:
        self.take("_")
        low = self.argument()
        self.take("^")
        high = self.argument()
        self.integrals += 1
        parts = []
        while self.token is not None and self.token != "d":
            parts.append(self.take() if self.token in ("+", "-") else self.term(None))
        self.take("d")
        self.integrals -= 1
        variable = self.name(self.take().lstrip("\\"))
        return f"Integral({''.join(parts) or '1'},({variable},{low},{high}))"
