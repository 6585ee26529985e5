r"""LaTeX formulas: a grammar of its own for what stands in papers.

The text is rewritten as a calculator-style formula, which `kan2.expressions.parse` reads; so what is allowed and how
errors look is decided in one place. Understood are \frac, \sqrt[n]{}, powers, \left \right and |...|, functions with
and without parentheses (`\sin 2x`, `\sin^2 x`, `\log_2 x`), Greek letters, \operatorname, subscripts (`x_1`,
`E_{kin}`, `k_\mathrm{B}`), \text and names in backquotes, \frac{d}{dx}, \sum and \prod with whole-number limits, \int
with limits and `\,dx`, \exp, `e^{...}`, `x!`, \pi, \cdot, \times, and \Re, \Im, \arg, \overline of complex values. What
could be read in two ways is refused: `3\frac12`, `|x|y|z|`, `x^2!`, `\gamma(x)`, `\overline{x}`, \phi beside \varphi.

Reference: https://www.latex-project.org/help/documentation/
"""

import re
from collections.abc import Sequence
from typing import NoReturn

import sympy

from kan2.expressions.parse import MAX_DEPTH, MAX_TEXT, parse_expression
from kan2.expressions.symbols import quoted
from kan2.expressions.token import WORDS
from kanpiler.errors import ParseError
from kanpiler.latex_derivatives import Derivative, find_derivative
from kanpiler.latex_names import TWO_READINGS, NameReader
from kanpiler.latex_tokens import (
    BRACKETS,
    CLOSING,
    COMPLEX,
    CONJUGATES,
    FRACTIONS,
    FUNCTIONS,
    GREEK,
    OPERATIONS,
    TIMES,
    UPRIGHT,
    UPRIGHT_D,
    is_list,
    kind_of,
)

_INVERTIBLE = """
sin cos tan sec csc cot sinh cosh tanh sech csch coth
"""
_INVERSE = {name: f"a{name}" for name in _INVERTIBLE.split()}
# Letters that are the names of functions too, in front of parentheses.
_LETTERS = {"Gamma": "gamma", "zeta": "zeta", "beta": "beta", "gamma": ""}
_PARENTHESES = {"(", "[", "{", r"\{"}
_PREFIXES = FUNCTIONS | {"Re", "Im", "arg"}
_AROUND = {"|": "abs", r"\lvert": "abs", r"\lfloor": "floor", r"\lceil": "ceil"}


def parse_latex(text: str, names: Sequence[str] | None = None) -> sympy.Expr:
    r"""Reads a formula in LaTeX.

    Letters next to each other are a product, as LaTeX prints them: `xy` is x times y, unless `xy` is a declared name.
    Letters that spell a function, such as `cos x` without a backslash, are refused. `e^{...}` is the exponential
    function, as papers and SymPy print it, and so `e`, `E` and `\mathrm{e}` are Euler's number unless they are
    declared; `i` is the imaginary unit within `\Re`, `\Im`, `\arg`, `|...|` and `\overline` unless it is declared, and
    refused elsewhere. `\sqrt[3]{x}` is real for negative x. `\frac{d}{dx}` differentiates the parentheses or the one
    factor after it. `\Gamma(x)`, `\zeta(x)` and `\beta(x, y)` are functions where the letter is not declared.

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


class _Reader(NameReader):
    """A recursive-descent reader that writes calculator-style text, every product and parenthesis spelled out."""

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
            if self.token in TIMES:
                is_divided = False
                self.take()
                result += "*" + self.power(end)
            elif self.token in ("/", r"\div"):
                self.take()
                result += "/" + self.power(end)
                is_divided = True
            elif self.token in CLOSING or self._is_differential():
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
        return self.token in ("d", UPRIGHT_D) and self.integrals > 0 and self.position + 1 < len(self.tokens)

    def power(self, end: str | None) -> str:
        """Reads a factor with its exponents."""
        if self.token in ("+", "-"):
            return f"({self.take()}{self.power(end)})"
        letter = self.token
        base = self.atom()
        if self.token == "!":
            self.take()
            base = f"factorial({base})"
        while self.token == "^":
            self.take()
            base = f"({base})**({self.argument('^')})"
            if letter == r"\Gamma" and self.token == "(" and "Gamma" not in self.names:
                self._refuse_letter("Gamma")
        if self.token == "!":
            is_double = self.tokens[self.position - 1] == "!"
            raise ParseError(
                "compile: expected one !, got a double factorial, which is not supported. Write (x!)! for the factorial"
                " of a factorial."
                if is_double
                else "compile: a ! after a power can be read in two ways. Write (x^2)! or x^{(2!)}."
            )
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
            self.apart = {i + (len(self.token) - 1) * (i > self.position) for i in self.apart}
            self.tokens[self.position : self.position + 1] = list(self.token)
        return self.atom()

    def atom(self) -> str:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return token
        if token in BRACKETS:
            before = kind_of(self.tokens[self.position - 2]) if token == "|" and self.position > 1 else ""
            if self.token in ("+", "-") and before in ("value", ")", "|") and self.tokens.count("|") > 3:
                raise ParseError(TWO_READINGS)
            inner = self.expression(BRACKETS[token])
            return f"{_AROUND.get(token, '')}({inner})"
        if token in FRACTIONS:
            return self.fraction()
        if token == r"\sqrt":
            root = None
            if self.token == "[":
                self.take()
                root = self.expression("]")
            inner = self.argument()
            return f"sqrt({inner})" if root is None else f"root({inner},{root})"
        if token[0] == "`":
            return token
        if token.startswith(r"\text{"):
            return self._text(token)
        if token == UPRIGHT_D:
            return self.name("d")
        if token in UPRIGHT:
            word = self.word()
            if token == r"\mathrm" and word == "e" and word not in self.names:
                return "ℯ"
            is_function = self.token == "(" or (word in COMPLEX and self.token in _PARENTHESES)
            return self.function(word) if word in FUNCTIONS or is_function else self.name(word)
        if token in (r"\sum", r"\prod"):
            return self.finite_sum("Sum" if token == r"\sum" else "Product")
        if token == r"\int":
            return self.integral()
        if token.startswith("\\"):
            word = token[1:]
            if word in _PREFIXES:
                return self.function(word)
            if token in CONJUGATES:
                return self.conjugate(token)
            if word == "pi":
                return "pi"
            if word == "infty":
                return "oo"
            if word in GREEK:
                return self.letter(word)
            raise ParseError(f"compile: unknown LaTeX command {token}.")
        if token.isalpha():
            word = self.longest_name(token)
            if len(word) == 1:
                self.check_spelling(token)
            return self.name(word)
        raise ParseError(f"compile: expected a formula, got {token!r}.")

    def conjugate(self, command: str) -> str:
        r"""Reads \overline{...} of a complex value; of a real one it is a mean, or a name."""
        inner = self.argument()
        if "ⅈ" not in inner:
            raise ParseError(
                rf"compile: {command}{{{inner}}} can be read in two ways. Write \operatorname{{conjugate}}({inner}) "
                "for the complex conjugate, a name with a subscript for a mean."
            )
        return f"conjugate({inner})"

    def letter(self, word: str) -> str:
        """Reads a Greek letter, or the function that it is the name of."""
        plain = word.replace("var", "") if word not in self.names else word
        if self.letters.setdefault(plain, word) != word:
            other = self.letters[plain]
            raise ParseError(
                f"compile: \\{other} and \\{word} are two letters, which are one name here. Use one of them, or "
                f"declare both as inputs, {other} and {word}."
            )
        if word in _LETTERS and word not in self.names and self.token == "(":
            if not _LETTERS[word] or self.position in self.apart:
                self._refuse_letter(word)
            self.take()
            inner = self.expression(")")
            if is_list(inner) != (word == "beta"):
                self._refuse_letter(word)
            return f"{_LETTERS[word]}({inner})"
        return self.name(plain)

    def _refuse_letter(self, word: str) -> NoReturn:
        function = {"zeta": r"\zeta(...)", "beta": r"\beta(a, b)"}.get(word, r"\Gamma(...)")
        raise ParseError(
            f"compile: \\{word} before a parenthesis can be read in two ways. Write \\{word} \\cdot (...) for a "
            f"product, {function} for the function, its power after it, or declare {word} as an input."
        )

    def _text(self, token: str) -> str:
        r"""Reads \text{...}: a function, or a name, which may have spaces."""
        word = " ".join(token[len(r"\text{") : -1].replace("~", " ").split())
        if word not in self.names and (word in FUNCTIONS or (self.token == "(" and word.isidentifier())):
            return self.function(word)
        is_name = bool(word) and all(part.isidentifier() for part in word.split())
        if word not in self.names and (not is_name or {*word.split()} & {*WORDS, "otherwise", "for"}):
            raise ParseError(f"compile: expected a name in \\text, got {word!r}.")
        if self.token == "_" and word.isidentifier():
            return self.name(word)
        return quoted(word)

    # -- fractions -----------------------------------------------------------------------------------------------

    def fraction(self) -> str:
        r"""Reads what follows \frac: a quotient, or a derivative where both sides begin with a d."""
        before = self.tokens[self.position - 2 : self.position - 1]
        is_exponent = self.tokens[max(0, self.position - 3) : self.position - 2] in (["^"], ["_"])
        found = find_derivative(self.tokens, self.position, self.names)
        if found is not None:
            return self.derivative(found)
        above, under = self.argument(), self.argument()
        if before and before[0][0].isdigit() and not is_exponent and above.isdigit() and under.isdigit():
            raise ParseError(
                rf"compile: {before[0]}\frac{{{above}}}{{{under}}} can be read in two ways. Write \cdot or + between "
                "them."
            )
        return f"(({above})/({under}))"

    def derivative(self, found: Derivative) -> str:
        """Reads what is differentiated: the rest above the bar, or parentheses or one factor after the fraction."""
        self.position = found.variable
        variable = self.atom()
        power = f"^{found.order}" if found.order > 1 else ""
        written = rf"\frac{{d{power}}}{{d{variable}{power}}}(...)"
        self.position = found.end if found.operand is None else found.operand
        if found.operand is not None:
            operand = self.expression("}")
            self.position = found.end
        elif self.token is None or self.token in CLOSING or self.token in OPERATIONS:
            raise ParseError(f"compile: expected what is differentiated. Write {written}.")
        else:
            is_bracket = self.token in _PARENTHESES
            operand = self.atom() if is_bracket else self.power(None)
            ends = self.token is None or self.token in ("+", "-", ",", *CLOSING)
            if self.token in ("^", "!") or not (ends or is_bracket):
                raise ParseError(f"compile: what is differentiated can be read in two ways. Write {written}.")
        if not re.search(rf"(?<!\w){re.escape(variable)}(?!\w)", operand):
            inner = operand.strip("()")
            raise ParseError(
                f"compile: expected a formula of {variable} that is differentiated, got {inner}. Write {written}, and "
                f"write {inner} out."
            )
        return f"diff(({operand}),{variable},{found.order})"

    # -- functions -----------------------------------------------------------------------------------------------

    def function(self, word: str) -> str:
        """Reads a function: with parentheses, or everything up to the next sum sign, as in `\\sin 2 x`."""
        known = {} if word in self.names else {"sgn": "sign", **COMPLEX}
        name, power, base = known.get(word, word), None, None
        while self.token in ("^", "_"):
            if self.take() == "^":
                power = self.argument()
            else:
                base = self.argument()
        if power in ("-1", "(-1)") and word in _INVERSE:
            name, power = _INVERSE[word], None
        elif power in ("-1", "(-1)"):
            raise ParseError(
                f"compile: \\{word}^{{-1}} can be read in two ways. Write \\frac{{1}}{{\\{word}(...)}} for the "
                "reciprocal."
            )
        if self.token is not None and self.token in BRACKETS:
            token = self.take()
            inner = f"{_AROUND.get(token, '')}({self.expression(BRACKETS[token])})"
            inner = inner[1:-1] if token not in _AROUND else inner
        else:
            inner = self._bare_argument()
        result = f"{name}({inner}{f',{base}' if base else ''})"
        return f"({result})**({power})" if power else result

    def _bare_argument(self) -> str:
        factors = [self.power(None)]
        stops = {"+", "-", ",", "=", "/", r"\div", "(", "|", *CLOSING, *TIMES}
        while self.token is not None and self.token not in stops and self.token[1:] not in _PREFIXES:
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
        while self.token is not None and self.token not in ("d", UPRIGHT_D):
            parts.append(self.take() if self.token in ("+", "-") else self.term(None))
        self.take(UPRIGHT_D if self.token == UPRIGHT_D else "d")
        self.integrals -= 1
        variable = self.name(self.take().lstrip("\\"))
        return f"Integral({''.join(parts) or '1'},({variable},{low},{high}))"
