"""The encoding of a text file, told by its first bytes: byte order marks, zeros of UTF-16, and what is no UTF-8.

Reference: https://www.unicode.org/faq/utf_bom.html
"""

import codecs
import re

from kan2.errors import DataError
from kan2.tables._sources import wrong_encoding

_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def encoding_of(prefix: bytes, is_whole: bool, name: str, given: str | None) -> tuple[str, int]:
    """Returns the encoding of text that begins so, and the number of bytes of its byte order mark.

    Args:
        prefix: the first bytes.
        is_whole: whether these are all.
        name: of the file, for messages.
        given: an encoding the caller names, or None.

    Raises:
        DataError: the bytes are no text, or Python knows no encoding of the name.
    """
    bom = next(((mark, encoding) for mark, encoding in _BOMS.items() if prefix.startswith(mark)), None)
    if given is not None:
        try:
            known = codecs.lookup(given).name
        except (LookupError, ValueError):
            raise DataError(
                f"read: unknown encoding {given!r}. Pass one that Python knows, such as 'utf-8', 'utf-16' or 'cp1252'."
            ) from None
        if bom is not None and (bom[1].replace("-sig", "").startswith(known.removesuffix("_sig").removesuffix("-sig"))):
            return bom[1].replace("-sig", ""), len(bom[0])
        return ("utf-16-le", 0) if known == "utf-16" else (known.replace("utf-8-sig", "utf-8"), 0)
    if bom is not None:
        return bom[1].replace("-sig", ""), len(bom[0])
    even, odd = prefix[0:4096:2], prefix[1:4096:2]
    if odd and odd.count(0) > 0.4 * len(odd) and not even.count(0):
        return "utf-16-le", 0
    if even and even.count(0) > 0.4 * len(even) and not odd.count(0):
        return "utf-16-be", 0
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", prefix) is not None:
        raise DataError(f"read: expected a table, got {name}, whose bytes are no text. Is it a table of another kind?")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(prefix, final=is_whole)
    except UnicodeDecodeError:
        return fallback(prefix), 0
    return "utf-8", 0


def fallback(data: bytes) -> str:
    """Returns the encoding of text that is not UTF-8: that of Windows, or Latin-1 where it does not know a byte."""
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def decoded(data: bytes, encoding: str, is_whole: bool, name: str) -> str:
    """Returns the text that bytes stand for; what is cut at the end of a part is left out."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data, final=is_whole)
    except UnicodeDecodeError as error:
        raise wrong_encoding(name, encoding, error.object[error.start]) from None
