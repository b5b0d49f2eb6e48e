"""The text of a CUDA file as tokens in brackets, and how one finds one's way in it."""

from __future__ import annotations

from tinygrad_mmb.emulator.tokens import Token, is_code, line_of, tokens

OPEN = {"(": ")", "[": "]", "{": "}"}
CLOSE = {v: k for k, v in OPEN.items()}
ANGLES = {"<": 1, "<<": 2, ">": -1, ">>": -2, ">>>": -3}


class Source:
    """One file. `code` leaves blanks and comments out.

    `edits` collects what is to change, as (begin, end, put): positions in `whole`, the text of the
    file, and what replaces the text between them.
    """

    def __init__(self, whole: str) -> None:
        self.whole = whole
        self.code: list[Token] = [t for t in tokens(whole) if is_code(t)]
        self.edits: list[tuple[int, int, str]] = []
        self.partner = self._pairs()
        self.in_function = self._scopes()
        self.bodies = self._bodies()

    def at(self, text: str) -> list[int]:
        """The tokens that read so, by number."""
        return [i for i, t in enumerate(self.code) if t.text == text]

    def text(self, i: int) -> str:
        """Token i; nothing beyond the ends of the file."""
        return self.code[i].text if 0 <= i < len(self.code) else ""

    def between(self, first: int, last: int) -> str:
        """The source from token `first` to token `last`, both included."""
        if last < first:
            return ""
        return self.whole[self.code[first].start : self.end(last)]

    def end(self, i: int) -> int:
        """Where in `whole` token i ends."""
        return self.code[i].start + len(self.code[i].text)

    def line(self, i: int) -> int:
        return line_of(self.whole, self.code[i].start)

    def _pairs(self) -> dict[int, int]:
        """Every bracket's partner, both ways. Those in a directive pair among themselves."""
        partner: dict[int, int] = {}
        stacks: tuple[list[int], list[int]] = ([], [])
        for i, token in enumerate(self.code):
            if not token.directive:
                stacks[True].clear()
            stack = stacks[token.directive]
            if token.text in OPEN:
                stack.append(i)
            elif token.text in CLOSE:
                while stack and self.text(stack[-1]) != CLOSE[token.text]:
                    stack.pop()  # an #if may open twice what is closed once
                if stack:
                    partner[i] = stack.pop()
                    partner[partner[i]] = i
        return partner

    def _scopes(self) -> list[bool]:
        """For each token whether it stands in a function or class, not directly in a namespace."""
        inside, depth = [], 0
        plain: set[int] = set()  # braces of namespaces and of extern "C"
        for i, token in enumerate(self.code):
            if token.text == "{" and not token.directive:
                begin = self.statement(i)
                head = [self.text(j) for j in range(begin, i)]
                if head[:1] == ["namespace"] or head[:2] == ["inline", "namespace"] or (
                    head == ["extern", '"C"']
                ):  # fmt: skip
                    plain.add(i)
                else:
                    depth += 1
            inside.append(depth > 0)
            if token.text == "}" and not token.directive and i in self.partner:
                depth -= self.partner[i] not in plain
        return inside

    def _bodies(self) -> list[tuple[int, int, set[str]]]:
        """Where each function's body begins and ends, and the words before it."""
        found = []
        for i, token in enumerate(self.code):
            if (
                token.text != "{"
                or token.directive
                or i not in self.partner
                or self.text(i - 1) != ")"
            ):
                continue
            begin = self.statement(i)
            if not self.in_function[begin]:
                found.append((i, self.partner[i], {self.text(j) for j in range(begin, i)}))
        return found

    def statement(self, i: int) -> int:
        """The first token of the statement or declaration that token i is in."""
        directive = self.code[i].directive
        j = i
        while j > 0:
            before = self.code[j - 1]
            if before.directive != directive or before.text in (";", "{", "}"):
                break
            if before.text == ")" and directive:
                break  # #define NAME(a, b) here
            j -= 1
        return j

    def find(self, i: int, stop: str) -> int | None:
        """The first `stop` from token i on that is in no brackets, within the same directive."""
        directive = self.code[i].directive if i < len(self.code) else False
        while i < len(self.code) and self.code[i].directive == directive:
            if self.text(i) == stop:
                return i
            if self.text(i) in OPEN:
                i = self.partner.get(i, len(self.code))
            elif self.text(i) in CLOSE:
                return None
            i += 1
        return None

    def angles_back(self, i: int) -> int | None:
        """The < that the > at token i closes."""
        depth = 0
        while i >= 0:
            text = self.text(i)
            if text in (")", "]", "}"):
                i = self.partner.get(i, -1)
            elif text in ANGLES:
                depth -= ANGLES[text]
                if depth <= 0:
                    return i
            elif text in (";", "{"):
                return None
            i -= 1
        return None

    def end_of_angles(self, i: int, stop: int) -> int:
        """The > that belongs to a <; the < itself where there is none: it compares."""
        depth = 0
        for j in range(i, stop):
            depth += ANGLES.get(self.text(j), 0)
            if depth <= 0:
                return j
        return i
