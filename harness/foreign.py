"""What objects of foreign code say of themselves: a user's Dataset, family, executor, or a library.

Such a text may be megabytes long, hold halves of characters that no file can store, or raise an exception of its own;
none of that may cost the reason of a failure. Every text of a foreign exception passes through here before it is
stored, shown or made part of another message. The log alone has the whole of it.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CHARACTERS = 1000
_END = 250  # of them, for the end of a text: it often says what to do


def described(error: BaseException) -> str:
    """Return the type of an exception and the beginning and end of its text."""
    text = whole_message(error)
    return shortened(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def message(error: BaseException) -> str:
    """Return the text of an exception, shortened."""
    return shortened(whole_message(error))


def whole_message(error: BaseException) -> str:
    """Return all of an exception's text, whatever its class does when it is asked for it."""
    return _text(lambda: str(error), f"{type(error).__name__}.__str__")


def shown(value: object, length: int = 60) -> str:
    """Return how python shows an object, at most `length` characters of it."""
    return _text(lambda: repr(value), f"{type(value).__name__}.__repr__")[:length]


def whole_traceback(error: BaseException) -> str:
    """Return what python prints of an exception, all of it."""
    return _text(lambda: "".join(traceback.format_exception(error)), "the traceback").rstrip()


def shortened(text: str, length: int = MAX_CHARACTERS) -> str:
    """Return at most about `length` characters: of a longer text its beginning and its end, and how much lies between.

    What no file can store (half of a surrogate pair) is written as an escape.
    """
    if len(text) > length:
        end = min(_END, length // 4)
        left_out = len(text) - length
        text = f"{text[: length - end]} [... {left_out:,} characters are left out here ...] {text[-end:]}"
    return _storable(text)


def _text(ask: Callable[[], str], what: str) -> str:
    try:
        return _storable(ask())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code, which may raise anything
        return f"({what} raised {type(error).__name__}: its text cannot be shown)"


def _storable(text: str) -> str:
    return str.encode(text, "utf-8", "backslashreplace").decode()
