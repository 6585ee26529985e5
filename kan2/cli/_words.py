"""Messages of the library in the words of the command line: options in place of arguments, and one line.

The library tells its callers which argument to pass, as decimal=','; here they are told which option to add, as
--decimal ','. What is for Python alone is left out.
"""

import re
from difflib import get_close_matches

_SHOWN = 10  # names of a list, the closest
_LOWEST = 0.3  # likeness, from 0 to 1, from which a name comes before those that come first in the list

# The first that fits is taken, at every place.
_OPTIONS = (
    (r"Name the other columns in columns=", "Name the other columns with --inputs"),
    (r"Give it one kind of values, or leave it out: columns=\.", "Give it one kind of values."),
    (r",? or pass max_bytes= [^.]*\.", "."),
    (r" (?:If it is meant to, p|P)ass max_bytes= [^.]*\.", ""),
    (r",? or pass format= if it is another", ""),
    (r"\bheader=True\b", "--header"),
    (r"\bheader=False\b", "--no-header"),
    (r"\b(decimal|delimiter)=('[^']*')", r"--\1 \2"),
    (r"\b(decimal|delimiter|encoding|names|comment|library|seed|seconds|grid|steps|width|attempts)=(?!\w)", r"--\1"),
    (r"\bPass domain=\{'(\w+)': \([^)]*\)\}", r"Add --domain \1:LOW:HIGH"),
    (r"\bdomain\['([^']*)'\] = \(low, high\)", r"--domain \1:LOW:HIGH"),
    (r"\bedges='spline' needs\b", "--splines needs"),
    (r"Run auto_symbolic\(\) or prune\(\) first", "Find functions with kan2 formula MODEL DATA"),
    (r"Name the columns to look at, or leave that one out with select\(\)", "Choose others with --inputs"),
    (r"Save the sheet as CSV, or pass pandas\.read_excel\(path\)", "Save the sheet as CSV"),
    (r"(?:Pass numpy\.load\(path\)|(?:Open|Query) it with [\w. ]+, and pass the \w+)", "Write it as CSV or Parquet"),
    (r", or None to have it found", ", or leave it out to have it found"),
    (r"\bexpected optimize among", "expected --optimize among"),
    (r"\bPass (--)", r"Add \1"),
    (r"\bpass (--)", r"add \1"),
)  # fmt: skip
_NO_NUMBERS = {
    "dates": "Give it as the time since a start, in a unit of yours, in a column of numbers.",
    "times of day": "Give it as the time since midnight, in a unit of yours.",
    "durations": "Give it as a number in a unit of yours.",
    "complex numbers": "Give its real and its imaginary part as two columns.",
    "text": "Write what are numbers as numbers, give each of a few words a column of 0 and 1, or choose others with "
    "--inputs.",
    "categories": "Give each category a column of 0 and 1, or choose others with --inputs.",
}


def of_the_shell(text: str) -> str:
    """Returns a message of the library as one line, with options of the command line for arguments.

    Example:
        >>> of_the_shell("read: expected a decimal sign, got '1,5'. Pass decimal=',' or decimal='.'.")
        "expected a decimal sign, got '1,5'. Add --decimal ',' or --decimal '.'."
    """
    # The name of a function in front, which nobody typed.
    text = one_line(without_carets(re.sub(r"^[a-z_.]+: ", "", text)))
    for pattern, words in _OPTIONS:
        text = re.sub(pattern, words, text)
    return _shortened(text)


def of_a_column(text: str, kind: str) -> str:
    """Returns the message for a column that holds no numbers, with a remedy that needs no Python."""
    found = re.match(r"""(.*? in column (?:'[^']*'|"[^"]*"))\. """, text, re.DOTALL)
    remedy = _NO_NUMBERS.get(kind, "Choose other columns with --inputs.")
    return text if found is None else f"{found[1]}. {remedy}"


def without_carets(text: str) -> str:
    """Returns a message without the line of carets below a formula: the place is said in words.

    Example:
        >>> without_carets("no formula.\\n  x*(\\n    ^")
        "no formula (character 3 of 'x*(')."
    """
    found = re.match(r"(.*?)\.?\n  ([^\n]*)\n  ( *)\^+(.*)", text, re.DOTALL)
    if found is None:
        return text
    before, excerpt, blanks, after = found.groups()
    first, stop, rest = before.partition(". ")
    place = f"(character {len(blanks) + 1} of {excerpt!r})"
    return f"{first} {place}{stop}{rest}.{after}" if stop else f"{first} {place}.{after}"


def one_line(text: str) -> str:
    """Returns a text without ends of lines."""
    return " ".join(text.split())


def closest(name: str, known: list[str]) -> list[str]:
    """Returns the names of a long list that are most like one, ten at most."""
    if len(known) <= _SHOWN:
        return known
    lowered = {other.lower(): other for other in reversed(known)}
    near = [lowered[match] for match in get_close_matches(name.lower(), lowered, n=_SHOWN, cutoff=_LOWEST)]
    return [*near, *(other for other in known if other not in near)][:_SHOWN]


def counted(text: str) -> str:
    """Returns a text with one of a kind in the singular.

    Example:
        >>> counted("1 nodes, 11 edges, 2 rows, 1 edges are")
        '1 node, 11 edges, 2 rows, 1 edge is'
    """
    text = re.sub(r"(?<![\d.,])1 ([a-z-]+)s (are|have)\b", lambda m: f"1 {m[1]} {_ONE[m[2]]}", text)
    return re.sub(r"(?<![\d.,])1 ([a-z-]+[a-rt-z])s\b", r"1 \1", text)


_ONE = {"are": "is", "have": "has"}


def _shortened(text: str) -> str:
    found = re.match(r"(.*?unknown [\w ]+ ['\"](.*?)['\"]\..*?Known: )(.*)\.$", text)
    if found is None:
        return text
    known = found[3].split(", ")
    shown = closest(found[2], known)
    more = f" and {len(known) - len(shown)} more" if len(shown) < len(known) else ""
    return f"{found[1]}{', '.join(shown)}{more}."
