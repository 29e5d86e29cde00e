"""XML in any encoding that annotation tools write is read, and what is not in its encoding is told with its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.data.formats.source import UnreadableError
from harness.data.formats.xml_text import parse_xml

_HINT = 'save it as UTF-8, or name its real encoding in its first line (such as <?xml version="1.0" encoding="GBK"?>)'


class _Texts:
    """Each element's text with the lines of its start and end, and its attributes."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[str, int]] = {}
        self.attributes: dict[str, str] = {}

    def opened(self, path: Sequence[str], attributes: Mapping[str, str], _line: int) -> None:
        self.attributes |= {f"{path[-1]}.{name}": value for name, value in attributes.items()}

    def closed(self, path: Sequence[str], text: str, line: int) -> None:
        self.seen["/".join(path)] = text, line


def _read(path: Path, data: bytes) -> _Texts:
    path.write_bytes(data)
    texts = _Texts()
    parse_xml(path, texts, root="labels", format_name="a test")
    return texts


def _written(declared: str, name: str) -> str:
    return f'<?xml version="1.0" encoding="{declared}"?>\n<labels>\n  <name of="{name}"> {name}\n</name>\n</labels>\n'


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("GB2312", "gb2312", "汽车"),
        ("gb2312", "gb2312", "猫"),  # its two bytes are UTF-8 too
        ("gb2312", "gbk", "汽车囍"),  # the last character is in GBK alone
        ("GBK", "gbk", "汽车囍"),
        ("GB18030", "gb18030", "汽车𠀀"),
        ("x-gbk", "gbk", "汽车"),
        ("windows-936", "gbk", "汽车"),
        ("Big5", "cp950", "汽車碁"),
        ("Shift_JIS", "cp932", "ネジ①"),
        ("Windows-31J", "cp932", "ネジ"),
        ("EUC-JP", "euc_jp", "ネジ"),
        ("ISO-2022-JP", "iso2022_jp", "ネジ"),
        ("EUC-KR", "cp949", "나사뷁"),
        ("windows-1251", "cp1251", "болт"),
        ("KOI8-R", "koi8-r", "болт"),
        ("windows-1252", "cp1252", "“Schraube” groß"),
        ("ISO-8859-1", "latin-1", "groß"),
        ("iso-8859-2", "iso8859-2", "śruba"),
        ("ISO-8859-15", "iso8859-15", "5 €"),
        ("US-ASCII", "utf-8", "groß"),
        ("utf8", "utf-8", "groß 汽车"),
        ("Utf-8", "utf-8-sig", "groß 汽车"),
        ("UTF-8 ", "utf-8", "groß 汽车"),
        ("", "utf-8", "groß 汽车"),
        ("UTF-16", "utf-16", "groß 汽车"),
        ("utf-16", "utf-16-le", "groß 汽车"),
        ("UTF-16", "utf-16-be", "groß 汽车"),
        ("UTF-8", "utf-16", "groß 汽车"),  # the bytes count
        ("utf-16", "utf-8", "groß 汽车"),
        ("UTF-32", "utf-32", "groß 汽车"),
    ],
)
def test_encodings(declared: str, codec: str, name: str, tmp_path: Path) -> None:
    """A declared encoding is read by its name in any spelling, UTF-16 and UTF-32 by their first bytes."""
    texts = _read(tmp_path / "a.xml", _written(declared, name).encode(codec))
    assert texts.seen == {"labels/name": (name, 4), "labels": ("", 5)}
    assert texts.attributes == {"name.of": name}


def test_blank_lines_before_the_declaration_are_passed_over(tmp_path: Path) -> None:
    """Some programs write them; the numbers of the lines stay."""
    data = b"\n\n" + _written("UTF-8", "bolt").encode()
    assert _read(tmp_path / "a.xml", data).seen["labels/name"] == ("bolt", 6)


@pytest.mark.parametrize(
    ("data", "line", "detail"),
    [
        (
            "<labels>\n<name>汽车</name></labels>".encode("gbk"),
            2,
            f"not UTF-8 text (invalid continuation byte); {_HINT}",
        ),
        (_written("utf-8", "汽车").encode("gbk"), 3, f"not utf-8 text (invalid continuation byte); {_HINT}"),
        (_written("GBK", "ß").encode("latin-1"), 3, f"not GBK text (illegal multibyte sequence); {_HINT}"),
        (_written("UTF-16", "a").encode("utf-16")[:-1], 5, "not UTF-16 text (truncated data)"),
        (
            _written("gb2312", "猫狗").encode(),
            1,
            'it declares gb2312, but its text is UTF-8: write encoding="UTF-8" in its first line',
        ),
        (
            _written("ISO-8859-1", "groß").encode(),
            1,
            'it declares ISO-8859-1, but its text is UTF-8: write encoding="UTF-8" in its first line',
        ),
        (_written("ansi", "a").encode(), 1, "it declares the encoding 'ansi', which is unknown; save it as UTF-8"),
        (_written("rot13", "a").encode(), 1, "it declares the encoding 'rot13', which is unknown; save it as UTF-8"),
        (_written("utf-7", "a").encode(), 1, "it declares the encoding 'utf-7', which is unknown; save it as UTF-8"),
        (b"<labels>\n<name></labels>", 2, "not XML: mismatched tag"),
        (b"", 1, "not XML: no element found"),
        (b"<other/>", 1, "not a test: the outermost element is <other>, expected <labels>"),
        (b"<labels>" * 100, 1, "nested too deep"),
        (b"<!DOCTYPE labels><labels/>", None, "it declares a document type or entities, which no annotation needs"),
    ],
)
def test_what_is_no_such_text_is_told(data: bytes, line: int | None, detail: str, tmp_path: Path) -> None:
    """Each with its line and with what to do; codecs of Python that are no character set are not run."""
    with pytest.raises(UnreadableError) as error:
        _read(tmp_path / "a.xml", data)
    assert (error.value.line, error.value.detail) == (line, detail)
