"""Text cut into tokens, each as Python spells it, with what calculator users leave out written out.

What people mean beyond doubt is read: `2x`, `x²`, `|x|`, `½x`, `√x`, `x!`, digits and signs of other scripts. What
could be read in two ways is refused with a remedy: `x mod 2`, `1 000`, `0x10`, `1.2.3`, `5% + x`, `sinx`, `e^x`.

References:
    https://www.unicode.org/reports/tr36/ for characters that look alike or are not seen,
    https://docs.python.org/3/reference/lexical_analysis.html
"""

import re
from collections.abc import Collection, Sequence
from typing import NoReturn

from kan2.expressions.bars import absolute_values
from kan2.expressions.characters import (
    LINE_ENDS,
    RAISED,
    ROOTS,
    SAME,
    SUPERSCRIPTS,
    fraction_of,
    looks_of,
    plain_characters,
    unknown_character,
)
from kan2.expressions.postfix import brackets, factorials
from kan2.expressions.symbols import NAME
from kan2.expressions.token import WORDS, ExpressionError, Token, complain
from kan2.expressions.vocabulary import ALSO_VARIABLES, CONSTANTS, FUNCTIONS, GREEK, IMAGINARY
from kan2.expressions.words import BETWEEN, GLUED, NOT_NUMBERS, strange_character, suggest

MAX_DEPTH = 100


_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<quoted>`(?:[^`]|``)+`)|(?P<number>(?:[0-9]+(?:_[0-9]+)*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"|(?P<raised>[{RAISED}]+)|(?P<name>{NAME})"
    r"|(?P<op>\*\*|<=|>=|==|!=|//|[-+*/^(),|<>%!\[\]])|(?P<root>[√∛∜])"
)
_BASED = re.compile(r"0(?:[xX][0-9a-fA-F]|[bB][01]|[oO][0-7])[0-9a-fA-F_]*(?!\w)")


def tokenize(text: str, names: Collection[str] | None, functions: Collection[str] = ()) -> list[Token]:
    """Cuts a formula into tokens in which every product and every call is written out.

    Args:
        text: the formula.
        names: the declared variables; None allows any.
        functions: names of functions that the vocabulary does not have.

    Raises:
        ExpressionError: a character is not of the grammar, or something can be read in two ways.

    Example:
        >>> " ".join(token.text for token in tokenize("2x² + |y|", None))
        '2 * x ** 2 + abs ( y )'
    """
    return _Tokenizer(text, names, functions).tokens()


class _Tokenizer:
    def __init__(self, text: str, names: Collection[str] | None, functions: Collection[str]) -> None:
        self.original, self.is_open, self.functions = text, names is None, frozenset(functions)
        self.names = frozenset(names or ())
        self.text = plain_characters(text, self.names)
        self.line_ends = {i for i, character in enumerate(self.text) if character in LINE_ENDS}

    def tokens(self) -> list[Token]:
        tokens = self.cut()
        brackets(tokens, self.original, has_matrices="Matrix" not in self.names)
        tokens = self.multiply(absolute_values(self.roots(tokens), self.original))
        return factorials(tokens, self.original)

    def fail(self, token: Token, message: str) -> ExpressionError:
        return complain(self.original, token.start, len(token.text), message)

    def refuse(self, start: int, width: int, message: str) -> NoReturn:
        raise complain(self.original, start, width, message)

    # -- characters ----------------------------------------------------------------------------------------------

    def cut(self) -> list[Token]:
        tokens: list[Token] = []
        position = depth = 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                position = self.other(tokens, position)
                continue
            kind, word, start = str(match.lastgroup), match.group(), position
            position = match.end()
            if kind == "space":
                continue
            if kind == "number":
                self.check_number(word, start, tokens)
                word = word.replace("_", "")
            elif kind == "raised":
                tokens += self.raised(word, start, position, tokens)
                continue
            elif kind == "name":
                tokens += self.split_name(word, start)
                continue
            elif kind == "quoted":
                name = self.original[start + 1 : position - 1].replace("``", "`")
                tokens.append(Token("quoted", name, start))
                continue
            elif kind == "root":
                tokens.append(Token("root", str(ROOTS[word]), start))
                continue
            elif word == "//":
                self.refuse(start, 2, "expected a formula, got //. Write floor(a/b).")
            elif word == "%":
                self.check_percent(start)
            depth += (word in "([") - (word in ")]")
            if depth > MAX_DEPTH:
                self.refuse(start, 1, f"expected at most {MAX_DEPTH} nested parentheses.")
            tokens.append(Token(kind, "**" if word == "^" else word, start))
        if not tokens:
            raise ExpressionError("parse_expression: expected a formula, got empty text.")
        return tokens

    def other(self, tokens: list[Token], position: int) -> int:
        """Reads a character that is no token of its own."""
        character = self.text[position]
        if character in SAME:
            word = SAME[character]
            tokens.append(Token("name" if word.isalpha() else "op", word, position))
        elif character == "∞":
            tokens.append(Token("name", "oo", position))
        elif fraction_of(character) is not None:
            tokens += self.fraction(character, position, tokens)
        else:
            self.refuse(position, 1, unknown_character(self.original[position]))
        return position + 1

    def fraction(self, character: str, start: int, tokens: list[Token]) -> list[Token]:
        above, below = fraction_of(character) or (0, 0)
        if tokens and tokens[-1].ends_value:
            self.refuse(start, 1, f"a {character} right after a value can be read in two ways. Write *{above}/{below},"
                                  f" **({above}/{below}) or + {above}/{below}.")  # fmt: skip
        pieces = [("op", "("), ("number", str(above)), ("op", "/"), ("number", str(below)), ("op", ")")]
        return [Token(kind, piece, start) for kind, piece in pieces]

    def check_number(self, word: str, start: int, tokens: list[Token]) -> None:
        end = start + len(word)
        rest = self.text[end:]
        based = _BASED.match(self.text, start)
        if based and based.group()[1:] not in self.names:
            try:
                value = f"{int(based.group(), 0)} for the number, or "
            except ValueError:
                value = ""
            self.refuse(start, len(based.group()), f"{based.group()!r} can be read in two ways. Write {value}"
                                                   f"0*{based.group()[1:]} for a product.")  # fmt: skip
        if re.match(r"\.[0-9]|\.\.", rest) or (word.endswith(".") and rest.startswith(".")):
            self.refuse(start, len(word) + 1, "expected a number with one decimal point.")
        if re.match(r"_", rest):
            self.refuse(start, len(word) + 1, "expected digits on both sides of _ in a number. Write * for a product.")
        if re.match(r"[jJ](?!\w)", rest) and rest[0] not in self.names:
            self.refuse(start, len(word) + 1, f"{word}{rest[0]} is imaginary in Python. Write {word}*{rest[0]} for a"
                                              f" product, {word}*I within re, im, abs, arg, conjugate.")  # fmt: skip
        if re.match(r"[eE](?!\w)", rest) and rest[0] not in self.names:
            self.refuse(start, len(word) + 1, f"expected digits after {word}{rest[0]}, as in {word}{rest[0]}3. For "
                                              f"Euler's number write {word}*exp(1).")  # fmt: skip
        previous = tokens[-1] if tokens else None
        if start and self.text[start] == "." and previous is not None and previous.ends_value and (
            self.text[start - 1].strip()
        ):  # fmt: skip
            self.refuse(start, len(word), "expected an operation before the number. Write * for a product.")
        if previous and previous.text == "," and re.match(r"0[0-9]", word) and self.text[start - 1] == ",":
            self.refuse(start - 1, len(word) + 1, "expected a number without commas, such as 1000.")

    def check_percent(self, start: int) -> None:
        """Tells `x % 2` from `5% + x`."""
        rest = self.text[start + 1 :]
        is_apart = bool(self.text[:start]) and self.text[start - 1].isspace()
        following = rest.lstrip()
        if not following or following[0] in "+-)*/,|^%" or (not is_apart and rest[:1].isspace()):
            self.refuse(
                start, 1, "a % here can be read in two ways. Write mod(a, b) for a remainder, /100 for percent."
            )

    def raised(self, word: str, start: int, end: int, tokens: list[Token]) -> list[Token]:
        """Reads superscripts: a whole power, or the index of a root."""
        digits = "".join(SUPERSCRIPTS[character] for character in word)
        if not re.fullmatch("[+-]?[0-9]+", digits):
            self.refuse(start, len(word), "expected a whole number as superscript.")
        if self.text[end : end + 1] == "√" and not (tokens and tokens[-1].ends_value):
            return [Token("index", digits, start)]
        if not tokens or not (tokens[-1].ends_value or tokens[-1].text == "|"):
            name = tokens[-1].text if tokens and tokens[-1].kind == "name" else ""
            raise self.fail(Token("op", word, start), _raised_function(name, digits) if name in FUNCTIONS else
                            "expected a value before the superscript.")  # fmt: skip
        if tokens[-1].kind == "name" and self.is_function(tokens[-1].text) and tokens[-1].text not in ALSO_VARIABLES:
            raise self.fail(tokens[-1], _raised_function(tokens[-1].text, digits))
        sign = [Token("op", digits[0], start)] if digits[0] in "+-" else []
        return [Token("op", "**", start), *sign, Token("number", digits.lstrip("+-"), start)]

    # -- names ---------------------------------------------------------------------------------------------------

    def is_function(self, name: str) -> bool:
        return name in FUNCTIONS and name not in self.names

    def split_name(self, word: str, start: int) -> list[Token]:
        """Reads a name; `πr` is a product, as π is a constant wherever it is not declared."""
        strange = strange_character(word)
        if strange and word not in self.names:
            self.refuse(start + word.index(strange), 1, f"expected a formula, got the character {strange!r}. Write "
                                                        "plain digits.")  # fmt: skip
        if word in self.names or word in CONSTANTS or "π" not in word or "π" in self.names:
            return [Token("name", word, start)]
        first, _, rest = word.partition("π")
        if first or not rest[0].isalpha():
            self.refuse(start, len(word), f"{word!r} can be read in two ways. Write * for a product with π.")
        return [Token("name", "π", start), *self.split_name(rest, start + 1)]

    def check_name(self, token: Token, previous: Token | None, following: Token | None) -> None:
        """Refuses undeclared names that most likely mean something else."""
        name, low = token.text, token.text.lower()
        is_juxtaposed = bool(previous and previous.ends_value) or bool(
            following and following.starts_value and following.text not in WORDS
        )
        if low in BETWEEN and is_juxtaposed and not (following and following.text == "(" and not (
            previous and previous.ends_value
        )):  # fmt: skip
            raise self.fail(token, f"{name!r} between values can be read in two ways. {BETWEEN[low]}.")
        if low in NOT_NUMBERS and name != "oo" and name not in FUNCTIONS:
            raise self.fail(token, f"{name!r} is {NOT_NUMBERS[low]}. Declare it as an input to use it as a variable.")
        is_power = following is not None and following.text in ("**", "(")
        if name == "e" and (is_power or not self.is_open):
            written = "exp(x)" if is_power else "E for Euler's number"
            raise self.fail(token, f"{name!r} can be read in two ways: write {written}, or declare {name} as an input.")
        if (glued := GLUED.fullmatch(name)) and not self.is_function(name):
            argument = glued.group(1)
            function = name.removesuffix(argument)
            product = re.sub(r"([0-9])([A-Za-z])", r"\1*\2", argument)
            raise self.fail(token, f"{name!r} can be read in two ways: write {function}({product}), or declare {name} "
                                   "as an input.")  # fmt: skip

    # -- tokens --------------------------------------------------------------------------------------------------

    def roots(self, tokens: list[Token]) -> list[Token]:
        """Turns √x, √(x + 1) and ³√x into calls."""
        result: list[Token] = []
        index: Token | None = None
        i = 0
        while i < len(tokens):
            token = tokens[i]
            i += 1
            if token.kind == "index":
                index = token
                continue
            if token.kind != "root":
                result.append(token)
                continue
            n = index.text if index else token.text
            index = None
            argument = tokens[i] if i < len(tokens) else None
            opened = [Token("name", "root", token.start, is_call=True), Token("op", "(", token.start)]
            closed = [Token("op", ",", token.start), Token("number", n.lstrip("+-"), token.start),
                      Token("op", ")", token.start)]  # fmt: skip
            if n.startswith("-"):
                raise self.fail(token, "expected a positive index of the root.")
            if argument is not None and argument.text == "(":
                depth, j = 1, i + 1
                while j < len(tokens) and depth:
                    depth += (tokens[j].text == "(") - (tokens[j].text == ")")
                    j += 1
                tokens[i:j] = [*self.roots(tokens[i:j])]
                j = i + _closing(tokens[i:])
                result += [*opened, *tokens[i:j], *closed]
                i = j
                continue
            after = tokens[i + 1] if i + 1 < len(tokens) else None
            is_plain = argument is not None and argument.ends_value and argument.text != ")"
            if argument is None or not is_plain or (after and (after.starts_value or after.text in ("**", "!"))):
                raise self.fail(token, "expected a root of one number or name, or of parentheses. Write √(...).")
            result += [*opened, argument, *closed]
            i += 1
        return result

    def multiply(self, tokens: list[Token]) -> list[Token]:
        """Writes out the products that a calculator user leaves out, and checks names on the way."""
        _check_lookalikes(self, [t for t in tokens if t.kind == "name" and not t.is_call and t.text not in WORDS])
        result: list[Token] = []
        for i, token in enumerate(tokens):
            previous = result[-1] if result else None
            following = tokens[i + 1] if i + 1 < len(tokens) else None
            if token.kind == "name" and token.text not in WORDS and not token.is_call:
                token = self.read_name(token, previous, following)
            if token.starts_value and previous and previous.ends_value:
                self.check_product(token, previous, result)
                result.append(Token("op", "*", token.start))
            result.append(token)
        return result

    def read_name(self, token: Token, previous: Token | None, following: Token | None) -> Token:
        name = token.text
        is_declared = name in self.names or GREEK.get(name) in self.names
        is_call = following is not None and following.text == "("
        if is_call and name in self.functions:
            return Token("name", name, token.start, is_call)
        if not is_declared:
            self.check_name(token, previous, following)
        is_call = is_call and not is_declared and name not in CONSTANTS
        if is_call and name not in FUNCTIONS:
            raise self.fail(token, f"unknown function {name!r}.{suggest(name)} For a product write {name}*(...).")
        if not is_call and self.is_function(name) and name not in ALSO_VARIABLES:
            power = following is not None and following.text == "**"
            raise self.fail(
                token, f"expected an argument, as in {name}(x){' or ' + name + '(x)**2' * power if power else ''}."
            )
        return Token("name", name, token.start, is_call)

    def check_product(self, token: Token, previous: Token, before: list[Token]) -> None:
        if token.kind == "number":
            what = "Write the number without spaces, or * for a product" if previous.kind == "number" else (
                "Write * for a product, ** for a power")  # fmt: skip
            raise self.fail(token, f"a number right after a value can be read in two ways. {what}.")
        if any(previous.start < end < token.start for end in self.line_ends):
            raise self.fail(token, "a product without * over two lines can be read in two ways. Write *, or give one "
                                   "formula.")  # fmt: skip
        if _is_divided(before):
            raise self.fail(token, "a product without * after / is ambiguous. Write a/(b*c) or a/b*c.")


def _closing(tokens: Sequence[Token]) -> int:
    """Returns how many tokens the parentheses take that open with the first."""
    depth = 0
    for i, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return i + 1
    return len(tokens)


def _is_divided(tokens: list[Token]) -> bool:
    """Says whether the factor that ends here stands under a division bar, as b does in a/b."""
    depth = 0
    for token in reversed(tokens):
        depth += (token.text in (")", "]")) - (token.text in ("(", "["))
        if depth < 0 or (depth == 0 and token.text in ("+", "-", "*", ",", "%")):
            return False
        if depth == 0 and token.text == "/":
            return True
    return False


def _raised_function(name: str, digits: str) -> str:
    other = f", or {name}(x)**-1 or a{name}(x)" if digits == "-1" and f"a{name}" in FUNCTIONS else ""
    return f"expected an argument, as in {name}(x){other or f'**{digits}'}."


def _check_lookalikes(tokenizer: "_Tokenizer", tokens: Sequence[Token]) -> None:
    """Refuses two names that look the same, such as a Latin a and a Cyrillic one."""
    if tokenizer.text.isascii() and all(name.isascii() for name in tokenizer.names):
        return
    seen: dict[str, str] = {look: name for name in tokenizer.names for look in looks_of(name)}
    seen |= {name: name for name in tokenizer.names}
    constants = {} if tokenizer.names else {name: name for name in FUNCTIONS if name not in ALSO_VARIABLES}
    own = {*tokenizer.names, *CONSTANTS, *IMAGINARY}
    for token in tokens:
        if token.text in own or GREEK.get(token.text) in tokenizer.names:
            continue
        for look in looks_of(token.text):
            other = seen.get(look, constants.get(look, token.text))
            if other != token.text:
                codes = " ".join(f"U+{ord(c):04X}" for c in token.text if not c.isascii()) or "plain letters"
                raise tokenizer.fail(
                    token, f"{token.text!r} ({codes}) looks like {other!r}, another name. Use one spelling of it."
                )
            seen[look] = token.text
