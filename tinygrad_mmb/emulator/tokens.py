"""The tokens of a C++ source, blanks and comments among them: their texts joined are the source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Token(NamedTuple):
    kind: str  # blank, comment, raw, string, char, number, name, header, mark
    text: str
    start: int  # where it begins in the source
    directive: bool  # whether it stands in a preprocessor line


# A raw string ends at )delimiter" only; quotes and comments inside it mean nothing. A backslash
# before the end of a line joins the next line to it, in a comment too.
PATTERN = re.compile(
    r"""
      (?P<blank>    (?: [ \t\f\v\r\n] | \\\r?\n )+ )
    | (?P<comment>  // (?: \\\r?\n | [^\n] )* | /\* .*? (?: \*/ | \Z ) )
    | (?P<raw>      (?: u8 | [uUL] )? R"(?P<end>[^()\\\s"]{0,16})\( .*? \)(?P=end)" )
    | (?P<string>   (?: u8 | [uUL] )? " (?: \\\r?\n | \\. | [^"\\\n] )* " )
    | (?P<char>     (?: u8 | [uUL] )? ' (?: \\\r?\n | \\. | [^'\\\n] )+ ' )
    | (?P<number>   \.?\d (?: [eEpP][+-] | '(?=\w) | [\w.] )* )
    | (?P<name>     [^\W\d]\w* )
    | (?P<mark>     <<<|>>>|<<=|>>=|<=>|->\*|\.\.\.|::|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\|
                  | [-+*/%&|^]= | \#\# | . )
    """,
    re.VERBOSE | re.DOTALL,
)
HEADER = re.compile(r"<[^>\n]+>")


def tokens(source: str) -> Iterator[Token]:
    """Every token from first to last.

    <<< and >>> are tokens, as for nvcc; whether they begin a launch is not decided here. A quote
    that nothing closes is a mark of its own.
    """
    position, directive, line_is_empty, after_include = 0, False, True, False
    while position < len(source):
        match = PATTERN.match(source, position)
        if after_include and (header := HEADER.match(source, position)):
            kind, text = "header", header.group()
        else:
            assert match is not None and match.lastgroup is not None  # `.` matches anything
            kind, text = match.lastgroup, match.group()
        if kind == "mark" and text == "#" and line_is_empty:
            directive = True
        if kind == "blank" and (end := end_of_line(text)):
            if directive:  # what follows the end of the line is in no directive
                text = text[:end]
            directive, line_is_empty, after_include = False, True, False
        elif kind not in ("blank", "comment"):
            after_include = directive and text in ("include", "include_next")
            line_is_empty = False
        yield Token(kind, text, position, directive)
        position += len(text)


def end_of_line(blank: str) -> int:
    """Behind the first end of a line that no backslash undoes; 0 where there is none."""
    ended = re.match(r"(?:\\\r?\n|[^\n\\])*\n", blank)
    return ended.end() if ended else 0


def is_code(token: Token) -> bool:
    """Whether the compiler proper sees it."""
    return token.kind not in ("blank", "comment")


def line_of(source: str, position: int) -> int:
    """The line, counted from 1."""
    return source.count("\n", 0, position) + 1
