"""Names in LaTeX: letters that are one name together, subscripts, and letters that spell a function.

Reference: https://www.latex-project.org/help/documentation/
"""

from collections.abc import Sequence

from kan2.expressions.bars import readings
from kanpiler.errors import ParseError
from kanpiler.latex_tokens import FUNCTIONS, UPRIGHT, UPRIGHT_D, cut, kind_of

_SPELLED = sorted({*FUNCTIONS, "mod"} - {"sec", "max", "min"}, key=lambda name: (-len(name), name))

TWO_READINGS = r"compile: the bars | can be read in two ways. Write \left| and \right|."


class NameReader:
    """Goes through the tokens of a formula, and reads names."""

    def __init__(self, text: str, names: Sequence[str] | None) -> None:
        self.tokens, self.apart = cut(text)
        if self.tokens.count("|") > 3 and readings(map(kind_of, self.tokens)) > 1:
            raise ParseError(TWO_READINGS)
        self.letters: dict[str, str] = {}  # the command that each Greek letter was written with
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

    def check_spelling(self, first: str) -> None:
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

    def longest_name(self, first: str) -> str:
        """Takes several letters where together they are a declared name, as in `kb`."""
        for length in range(min(self.longest, len(self.tokens) - self.position + 1), 1, -1):
            word = first + "".join(self.tokens[self.position : self.position + length - 1])
            if word in self.names:
                self.position += length - 1
                return word
        return first

    def word(self) -> str:
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
            return "ⅈ"  # the imaginary unit, which is refused where values are real
        return word

    def _subscript(self) -> str:
        subscript = self._plain_letters()
        if not f"x{subscript}".isidentifier() or not subscript:
            raise ParseError(f"compile: expected letters or digits as subscript, got {subscript!r}.")
        return subscript

    def _plain_letters(self) -> str:
        """Reads a group or a single token as letters and digits, whatever they are set in."""
        token = self.take()
        if token in UPRIGHT:
            return self._plain_letters()
        if token == "{":
            parts = []
            while self.token != "}":
                parts.append(self._plain_letters())
            self.take("}")
            return "".join(parts)
        if token.startswith(r"\text{"):
            return token[len(r"\text{") : -1].strip()
        return "d" if token == UPRIGHT_D else token.lstrip("\\")
