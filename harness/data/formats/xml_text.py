"""Read an XML file of annotations in the encoding that it declares, element by element, each with its line.

Owns decoding, the refusal of document types and entities, and the errors that say where a file is no XML. The parser
knows few encodings itself, so the text is decoded here. What the elements mean is the business of each format's reader.
"""

from __future__ import annotations

import codecs
import io
import re
import xml.sax
from typing import TYPE_CHECKING, Protocol

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from harness.data.formats.files import MAX_BYTES, read_bytes
from harness.data.formats.source import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_MAX_DEPTH = 64
_DECLARATION = re.compile(r"\A\s*<\?xml\s[^>]*\?>")
_ENCODING = re.compile(rb"""\s*<\?xml\s[^>]*?\bencoding\s*=\s*["']\s*([^"'>]*?)\s*["']""")
_MARKS = (  # without a byte-order mark, the first character of any XML file shows the order
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_CHARSETS = re.compile(
    r"ascii|utf-8(-sig)?|iso8859-\d+|cp\d+|koi8-[rut]|mac-(cyrillic|greek|iceland|latin2|roman|turkish)|tis-620"
    r"|gb2312|gbk|gb18030|big5|big5hkscs|shift_jis(_2004|x0213)?|euc_(kr|jp|jis_2004|jisx0213)|johab|kz1048|ptcp154"
    r"|iso2022_(jp|kr)\w*|hz"
)
_OTHER_NAMES = {"windows-31j": "cp932", "gb_2312-80": "gb2312", "unicode": "utf-16"}
# Programs write the later characters of these character sets under the older names (WHATWG's Encoding Standard).
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "ascii": "utf-8",
}
_OF_PAIRS = frozenset(
    {"gb18030", "big5hkscs", "cp932", "cp949", "cp950", "cp936", "shift_jis_2004", "shift_jisx0213", "johab"}
    | {"euc_jp", "euc_jis_2004", "euc_jisx0213"}
)  # encodings that write a character as two bytes


class Elements(Protocol):
    """What a reader does with the elements of a file. Either function may raise UnreadableError."""

    def opened(self, path: Sequence[str], attributes: Mapping[str, str], line: int, /) -> None:
        """Handle the start of an element; `path` names the elements from the outermost one to this one."""

    def closed(self, path: Sequence[str], text: str, line: int, /) -> None:
        """Handle the end of an element; `text` is what stands in it after its last inner element, stripped."""


def parse_xml(path: Path, elements: Elements, *, root: str, format_name: str, max_bytes: int = MAX_BYTES) -> None:
    """Read a whole file, and tell `elements` what is in it.

    Args:
        path: the file.
        elements: is told of each element's start and end.
        root: the name of the outermost element.
        format_name: the format that has such an outermost element, for the message about another one.
        max_bytes: larger files are refused.

    Raises:
        UnreadableError: it cannot be read, is no XML, is not in the encoding that it declares, declares a document
            type, or has another outermost element.
    """
    source = xml.sax.InputSource()
    source.setByteStream(io.BytesIO(_as_utf8(read_bytes(path, max_bytes))))
    source.setEncoding("utf-8")  # whatever the file declares
    parser = defusedxml.sax.make_parser()
    parser.forbid_dtd = True
    parser.setContentHandler(_Handler(elements, root, format_name))
    parser.setErrorHandler(xml.sax.ErrorHandler())
    try:
        parser.parse(source)
    except xml.sax.SAXParseException as error:
        raise UnreadableError(f"not XML: {error.getMessage()}", error.getLineNumber()) from None
    except DefusedXmlException:
        raise UnreadableError("it declares a document type or entities, which no annotation needs") from None


class _Handler(xml.sax.ContentHandler):
    def __init__(self, elements: Elements, root: str, format_name: str) -> None:
        super().__init__()
        self._elements, self._root, self._format = elements, root, format_name
        self._path: list[str] = []
        self._text: list[str] = []
        self._locator: xml.sax.xmlreader.Locator | None = None

    def setDocumentLocator(self, locator: xml.sax.xmlreader.Locator) -> None:  # noqa: N802 - SAX's name
        self._locator = locator

    def startElement(self, name: str, attrs: xml.sax.xmlreader.AttributesImpl) -> None:  # noqa: N802
        line = self._line()
        if not self._path and name != self._root:
            detail = f"not {self._format}: the outermost element is <{name}>, expected <{self._root}>"
            raise UnreadableError(detail, line)
        self._path.append(name)
        if len(self._path) > _MAX_DEPTH:
            raise UnreadableError("nested too deep", line)
        self._text = []
        self._elements.opened(self._path, dict(attrs.items()), line)

    def characters(self, content: str) -> None:
        self._text.append(content)

    def endElement(self, name: str) -> None:  # noqa: N802, ARG002
        self._elements.closed(self._path, "".join(self._text).strip(), self._line())
        self._text = []
        self._path.pop()

    def _line(self) -> int:
        return (self._locator.getLineNumber() if self._locator else None) or 1


def _as_utf8(data: bytes) -> bytes:
    """Return the text of an XML file as UTF-8, without the declaration, in which some programs write what is no XML.

    Raises:
        UnreadableError: the encoding is unknown, or the file is not in it.
    """
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    declared = _ENCODING.match(data)
    named = marked or (declared[1].decode("ascii", "backslashreplace") if declared else "") or "UTF-8"
    encoding = marked or _codec(named)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].decode(encoding, "replace").count("\n") + 1
        hint = 'name its real encoding in its first line (such as <?xml version="1.0" encoding="GBK"?>)'
        raise UnreadableError(f"not {named} text ({error.reason}); save it as UTF-8, or {hint}", line) from None
    if encoding != "utf-8" and not marked and _is_utf8(data, encoding):
        detail = f'it declares {named}, but its text is UTF-8: write encoding="UTF-8" in its first line'
        raise UnreadableError(detail, 1)
    text = _DECLARATION.sub(lambda declaration: "\n" * declaration[0].count("\n"), text.removeprefix("\ufeff"))
    return text.encode()


def _is_utf8(data: bytes, declared: str) -> bool:
    """Return whether a text that can be decoded as `declared`, an older encoding, is UTF-8 all the same.

    Two bytes of UTF-8 may also be one character of an encoding of East Asia (GBK); three in a row hardly ever are.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    first = 0x800 if declared in _OF_PAIRS else 0x80  # the first characters of three bytes, and of two
    return any(ord(character) >= first for character in text)


def _codec(named: str) -> str:
    """Return Python's name for the encoding that a file declares.

    Raises:
        UnreadableError: the encoding is unknown.
    """
    plain = re.sub(r"^windows-(?=\d+$)", "cp", named.lower().removeprefix("x-"))
    try:
        name = codecs.lookup(_OTHER_NAMES.get(plain, plain)).name
    except (LookupError, ValueError):
        name = ""
    if name.startswith(("utf-16", "utf-32")):
        return "utf-8"  # the declaration is readable as ASCII: a program changed the encoding and left the declaration
    if not _CHARSETS.fullmatch(name):
        raise UnreadableError(f"it declares the encoding {named!r}, which is unknown; save it as UTF-8", 1)
    return _SUPERSETS.get(name, name)
