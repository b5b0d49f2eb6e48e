"""From CUDA C++ as nvcc takes it to C++17 with the same lines.

Four things of CUDA are no C++, and only they are rewritten:

    add<256><<<grid, block>>>(x)         ->  ::emulator::launch("add<256>", ...).on(grid, block)(x)
    extern __shared__ float tile[];      ->  float (&tile)[] = ::emulator::dynamic_array<float[]>();
    static __shared__ float tile[32];    ->  __shared__ float tile[32];   (the macro says static)
    __constant__ float c[9];             ->  the same, then ::emulator::ProgramVariable ...("c", c);

All else (threadIdx, __syncthreads, cudaMalloc) is macros, functions and types of the emulator's own
cuda_runtime.h. Text is put in and taken out within a line, so every line keeps its number.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field

from tinygrad_mmb.emulator.rules import broken
from tinygrad_mmb.emulator.tokens import Token, is_code, line_of, tokens

OPEN = {"(": ")", "[": "]", "{": "}"}
CLOSE = {v: k for k, v in OPEN.items()}
ANGLES = {"<": 1, "<<": 2, ">": -1, ">>": -2, ">>>": -3}
PLAIN_POINTER = re.compile(
    r"(const )?(unsigned |signed )?(float|double|bool|char|short|int|long|long long)( const)? ?\*"
)
VARIABLE_SPACES = ("__constant__", "__device__", "__managed__")


@dataclass(frozen=True)
class Parameter:
    type: str
    name: str


@dataclass(frozen=True)
class Kernel:
    """A __global__ function of the source."""

    name: str
    line: int
    template: str | None  # "typename T, int N", or None
    parameters: tuple[Parameter, ...]
    has_defaults: bool = False
    is_defined: bool = True
    is_global: bool = True  # in no namespace and no class

    def __str__(self) -> str:
        inside = ", ".join(f"{p.type} {p.name}".strip() for p in self.parameters)
        return f"{f'template <{self.template}> ' if self.template else ''}{self.name}({inside})"


@dataclass
class Prepared:
    """A source ready for the C++ compiler."""

    text: str
    kernels: list[Kernel]
    has_main: bool
    includes: list[tuple[int, str]]  # line, "name.h" or <name.h>
    assembly: list[int]  # lines with inline PTX
    names: list[tuple[int, str]]  # that the code uses: first line, name
    broken: list[tuple[int, str]]  # rules of nvcc: line, and why
    functions: list[tuple[int, int]]  # first and last line of every function for the device
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    source: str = ""

    def column(self, line: int, column: int) -> int:
        """Where column `column` of a line of the prepared text stands in the source's line."""
        lines = self.source.split("\n")
        if not 1 <= line <= len(lines):
            return column
        start = sum(len(text) + 1 for text in lines[: line - 1])
        shift = 0
        for begin, end, put in self.edits:
            if start <= begin < start + len(lines[line - 1]) + 1:
                place = begin - start + shift + 1
                if column < place:
                    break
                if column < place + len(put):
                    return begin - start + 1
                shift += len(put) - (end - begin)
        return max(1, min(column - shift, len(lines[line - 1]) + 1))


def prepare(source: str) -> Prepared:
    """Rewrite one source file. Raises nothing: what is no CUDA is left for the compiler to name."""
    return Pass(source).result()


class Pass:
    """One walk over the code of a file; `code` leaves blanks and comments out."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.code: list[Token] = [t for t in tokens(source) if is_code(t)]
        self.edits: list[tuple[int, int, str]] = []
        self.partner = self._pairs()
        self.in_function = self._scopes()
        self.bodies = self._bodies()

    def result(self) -> Prepared:
        kernels = [k for i in self._at("__global__") if (k := self._kernel(i))]
        for i in self._at("<<<"):
            self._launch(i, kernels)
        for i in self._at("__shared__"):
            self._shared(i)
        for i in self._at("__noinline__"):  # as a macro it would break <memory>
            if self.text(i - 1) != "(":
                self.edits.append((self.code[i].start, self.end(i), "__attribute__((noinline))"))
        for i in (*self._at("__constant__"), *self._at("__managed__")):
            self._alignment(i)
        done = -1
        for i in sorted(j for space in VARIABLE_SPACES for j in self._at(space)):
            if i > done:
                done = self._variable(i)
        self.edits.sort()
        return Prepared(
            _edited(self.source, self.edits), kernels, self._has_main(), self._includes(),
            self._assembly(), self._names(), broken(self), self._functions(), self.edits,
            self.source,
        )  # fmt: skip

    # ------------------------------------------------------------------ finding one's way

    def _at(self, text: str) -> list[int]:
        return [i for i, t in enumerate(self.code) if t.text == text]

    def text(self, i: int) -> str:
        return self.code[i].text if 0 <= i < len(self.code) else ""

    def _slice(self, first: int, last: int) -> str:
        """The source from token `first` to token `last`, both included."""
        if last < first:
            return ""
        return self.source[self.code[first].start : self.end(last)]

    def end(self, i: int) -> int:
        return self.code[i].start + len(self.code[i].text)

    def line(self, i: int) -> int:
        return line_of(self.source, self.code[i].start)

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

    def _next(self, i: int, stop: str) -> int | None:
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

    def _angles_back(self, i: int) -> int | None:
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

    # ------------------------------------------------------------------ kernel<<<...>>>(...)

    def _launch(self, i: int, kernels: list[Kernel]) -> None:
        if self.text(i - 1) == "operator":
            return
        first = self._expression(i - 1)
        last = self._next(i + 1, ">>>")
        if first is None or last is None or self.text(last + 1) != "(":
            return
        text = " ".join(self._slice(first, i - 1).split())
        name = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if self.code[i].directive and text in self._macro_parameters(i):
            name = f"#{text}"
        begin, end = self.code[first].start, self.end(i - 1)
        if self._is_plain(text, kernels):  # known by its signature: arguments convert as in a call
            self.edits.append((begin, begin, f"::emulator::launch({name}, "))
            self.edits.append((end, end, ")"))
        else:  # a template, an overload, default arguments: the call itself finds out
            self.edits.append((begin, begin, f"::emulator::launch({name}, [=](auto... mmb_a) {{ "))
            self.edits.append((end, end, "(mmb_a...); })"))
            self._null_pointers(last + 1)
            self._plain_pointers(last + 1, text, kernels)
        for token, put in ((self.code[i], ".on("), (self.code[last], ")")):
            self.edits.append((token.start, token.start + 3, put))

    def _expression(self, i: int) -> int | None:
        """The first token of the expression that ends at token i and names a kernel."""
        while i >= 0:
            text = self.text(i)
            if text in (")", "]"):
                if i not in self.partner:
                    return None
                i = self.partner[i]
                if self.code[i - 1].kind != "name" and self.text(i - 1) not in (")", "]"):
                    return i
                i -= 1
            elif text in (">", ">>", ">>>"):
                opening = self._angles_back(i)
                if opening is None:
                    return None
                i = opening - 1
            elif self.code[i].kind == "name":
                before = self.text(i - 1)
                if before == "template":
                    i -= 1
                    before = self.text(i - 1)
                if before not in ("::", ".", "->"):
                    return i
                if before == "::" and not self._continues(i - 2):
                    return i - 1
                i -= 2
            else:
                return None
        return None

    def _continues(self, i: int) -> bool:
        """Whether `name::` or `name<...>::` ends at token i."""
        return self.text(i) == ">" or (
            self.code[i].kind == "name" and self.text(i) not in ("return", "else", "do")
        )

    def _is_plain(self, name: str, kernels: list[Kernel]) -> bool:
        found = [k for k in kernels if k.name == name]
        types = {tuple(p.type for p in k.parameters) for k in found}
        return len(types) == 1 and all(k.template is None and not k.has_defaults for k in found)

    def _macro_parameters(self, i: int) -> list[str]:
        """The parameters of the macro whose definition token i is in."""
        begin = i
        while begin > 0 and self.code[begin - 1].directive and self.text(begin) != "#":
            begin -= 1
        if self.text(begin + 1) != "define" or self.text(begin + 3) != "(":
            return []
        if self.end(begin + 2) != self.code[begin + 3].start:
            return []
        return [self.text(j) for j in range(begin + 4, self.partner.get(begin + 3, begin))]

    def _null_pointers(self, opening: int) -> None:
        """NULL is an int to a template: say nullptr, which converts to any pointer."""
        closing = self.partner.get(opening)
        for j in range(opening + 1, closing or opening):
            if self.text(j) == "NULL" and self.text(j - 1) in "(," and self.text(j + 1) in "),":
                self.edits.append((self.code[j].start, self.end(j), "nullptr"))

    def _plain_pointers(self, opening: int, name: str, kernels: list[Kernel]) -> None:
        """Where a template takes a float* whatever it deduces, an object may convert to one."""
        closing = self.partner.get(opening)
        own = name.partition("<")[0].rpartition("::")[2].strip()
        found = [k for k in kernels if k.name == own]
        if closing is None or len(found) != 1:
            return
        arguments, first, j = [], opening + 1, opening + 1
        while j <= closing:
            if self.text(j) in ANGLES:
                return  # f<a, b>(c): which commas part the arguments, is not certain
            if j == closing or self.text(j) == ",":
                arguments.append((first, j - 1))
                first = j + 1
            elif self.text(j) in OPEN:
                j = self.partner.get(j, closing)
            j += 1
        if len(arguments) != len(found[0].parameters):
            return
        for parameter, (begin, end) in zip(found[0].parameters, arguments, strict=True):
            if PLAIN_POINTER.fullmatch(parameter.type) and begin <= end:
                start, stop = self.code[begin].start, self.end(end)
                self.edits.append((start, start, f"::emulator::as<{parameter.type}>("))
                self.edits.append((stop, stop, ")"))

    # ------------------------------------------------------------------ variables

    def _shared(self, i: int) -> None:
        """extern __shared__ becomes a reference; a second `static` beside the macro's goes."""
        begin, stop = self.statement(i), self._next(i, ";")
        if stop is None:
            return
        words = [j for j in range(begin, stop) if self.text(j) in ("extern", "static")]
        words = [j for j in words if all(self.text(k) not in "([{=" for k in range(begin, j))]
        if any(self.text(j) == "extern" for j in words):
            self._dynamic_shared(next(j for j in words if self.text(j) == "extern"), stop)
            return
        for j in words:
            self.edits.append((self.code[j].start, self.end(j), ""))
        self._alignment(i)
        if not self.in_function[i] and not self.code[i].directive:
            # outside a function the runtime knows it by its namespace: runtime/symbols.cpp
            start, end = self.code[begin].start, self.end(stop)
            self.edits.append((start, start, "namespace mmb_block { "))
            self.edits.append((end, end, " } using namespace mmb_block;"))

    def _alignment(self, i: int) -> None:
        """__shared__ alignas(16) becomes alignas(16) __shared__, as the macro says static."""
        opening = i + 2
        if self.text(i + 1) == "alignas" and opening in self.partner:
            put = f"{self._slice(i + 1, self.partner[opening])} {self.text(i)}"
            self.edits.append((self.code[i].start, self.end(self.partner[opening]), put))

    def _dynamic_shared(self, begin: int, stop: int) -> None:
        kept: list[int] = []
        j = begin
        while j < stop:
            text = self.text(j)
            if text in ("__align__", "alignas", "__attribute__") and j + 1 in self.partner:
                j = self.partner[j + 1]
            elif text not in ("extern", "__shared__", "static"):
                kept.append(j)
            j += 1
        opening = next((k for k, j in enumerate(kept) if self.text(j) == "["), None)
        if not opening:
            return
        type_ = " ".join(self.text(j) for j in kept[: opening - 1])
        name = self.text(kept[opening - 1])
        sizes = "".join(self.text(j) for j in kept[opening:])
        if "," in sizes or not type_:
            return
        array = f"{type_}{sizes}"
        if self.in_function[begin] or self.code[begin].directive:
            put = f"{type_} (&{name}){sizes} = ::emulator::dynamic_array<{array}>()"
        else:
            put = f"static const ::emulator::DynamicArray<{array}> {name}"
        first, last = self.code[begin].start, self.code[stop].start
        lines = self.source.count("\n", first, last)
        put += ("\\\n" if self.code[begin].directive else "\n") * lines
        self.edits.append((first, last, put))

    def _variable(self, i: int) -> int:
        """Make declared variables known to the runtime. Gives the last token looked at."""
        begin, stop = self.statement(i), self._next(i, ";")
        if stop is None or self.in_function[i] or self.code[i].directive:
            return i
        found = self._declarators(begin, stop)
        if not found:
            return i
        before = range(begin, found[0])
        spaces = {self.text(k) for k in before}
        if "__constant__" in spaces:
            statics = [k for k in before if self.text(k) == "static"]
            self.edits += [(self.code[k].start, self.end(k), "") for k in statics]
        special = [space for space in ("__constant__", "__managed__") if space in spaces]
        kind = special[0].strip("_") if special else "device"
        put = ""
        for name in (self.text(k) for k in found):
            made = f'mmb_variable_{name}("{name}", {name}, "{kind}")'
            put += f" static ::emulator::ProgramVariable {made};"
        self.edits.append((self.end(stop), self.end(stop), put))
        return stop

    def _declarators(self, begin: int, stop: int) -> list[int]:
        """Where the names stand: a, b and c of __device__ float a, b[2] = {1}, (*c)(float);

        None in a function, a template, or what is no definition.
        """
        found: list[int] = []
        name: int | None = None
        j = begin
        while j < stop:  # the type, and the first name
            text = self.text(j)
            if text in ("__align__", "alignas", "__attribute__") and j + 1 in self.partner:
                j = self.partner[j + 1]
            elif text == "(" and self.text(j + 1) == "*" and self.text(j + 3) == ")":
                name = j + 2  # a pointer to a function, or to an array
                break
            elif text in ("(", "template", "extern", "operator", "using", "typedef"):
                return []
            elif text == "<":
                j = self._end_of_angles(j, stop)
            elif text == "{" and name is not None and self._is_body(begin, j):
                j = self.partner.get(j, stop)  # struct Name { ... } variable;
            elif text in ("[", "=", "{", ","):
                break
            elif self.code[j].kind == "name" and text not in VARIABLE_SPACES:
                name = j
            j += 1
        if name is not None:
            found.append(name)
        while j < stop:  # the others
            text = self.text(j)
            if text == ",":
                k = next(k for k in range(j + 1, stop + 1) if self.text(k) not in ("*", "const"))
                if self.text(k) == "(" and self.text(k + 1) == "*":
                    k += 2
                if self.code[k].kind == "name":
                    found.append(k)
            elif text in OPEN:
                j = self.partner.get(j, stop)
            elif text == "<" and self.code[j - 1].kind == "name":
                j = self._end_of_angles(j, stop)
            j += 1
        return found

    def _end_of_angles(self, i: int, stop: int) -> int:
        """The > that belongs to a <; the < itself where there is none: it compares."""
        depth = 0
        for j in range(i, stop):
            depth += ANGLES.get(self.text(j), 0)
            if depth <= 0:
                return j
        return i

    def _is_body(self, begin: int, brace: int) -> bool:
        """Whether the brace opens the body of a class, and no initial value."""
        words = [self.text(k) for k in range(begin, brace)]
        return words[-2:-1] != [] and words[-2] in ("struct", "class", "union", "enum")

    # ------------------------------------------------------------------ what is in the file

    def _kernel(self, i: int) -> Kernel | None:
        begin = self.statement(i)
        opening = self._next(i, "(")
        while opening is not None and self.text(opening - 1) in (
            "__launch_bounds__", "__attribute__", "__align__",
        ):  # fmt: skip
            opening = self._next(self.partner.get(opening, opening) + 1, "(")
        if opening is None or opening not in self.partner or self.code[i].directive:
            return None
        name, template = self.text(opening - 1), None
        if self.text(begin) == "template" and self.text(begin + 1) == "<":
            end = max(j for j in range(begin, i) if self.text(j) in (">", ">>", ">>>"))
            template = self._slice(begin + 2, end - 1)
        parameters, defaults = self._parameters(opening)
        after = self.text(self.partner[opening] + 1)
        outside = not any(
            self.text(j) == "{" and j < i < k and not self.code[j].directive
            for j, k in self.partner.items()
        )
        line = self.line(i)
        return Kernel(name, line, template, parameters, defaults, after == "{", outside)

    def _parameters(self, opening: int) -> tuple[tuple[Parameter, ...], bool]:
        found, defaults, angle = [], False, 0
        first = j = opening + 1
        closing = self.partner[opening]
        while j <= closing:
            text = self.text(j)
            if text in OPEN:
                j = self.partner.get(j, closing)
            elif text in ANGLES:
                angle += ANGLES[text]
            elif (text == "," and angle <= 0) or j == closing:
                words = list(range(first, j))
                if equals := [k for k in words if self.text(k) == "="]:
                    words, defaults = words[: words.index(equals[0])], True
                if words and [self.text(k) for k in words] != ["void"]:
                    found.append(self._parameter(words))
                first = j + 1
            j += 1
        return tuple(found), defaults

    def _parameter(self, words: list[int]) -> Parameter:
        named = len(words) > 1 and self.code[words[-1]].kind == "name"
        name = self.text(words[-1]) if named else ""
        suffix = ""
        if self.text(words[-1]) == "]":  # float x[] is float* x
            bracket = next(k for k in words if self.text(k) == "[")
            name, words, suffix = self.text(bracket - 1), words[: words.index(bracket) - 1], "*"
        elif named:
            words = words[:-1]
        text = self._slice(words[0], words[-1]) + suffix
        for qualifier in ("__restrict__", "__restrict", "__grid_constant__"):
            text = text.replace(qualifier, "")
        return Parameter(" ".join(text.split()).replace(" *", "*"), name)

    def _has_main(self) -> bool:
        return any(
            (self.text(i + 1) == "(" and not self.in_function[i] and self.text(i - 1) == "int")
            or (self.text(i + 1) == "(" and self.text(i - 1) in ("void", "auto"))
            for i in self._at("main")
            if not self.code[i].directive
        )

    def _includes(self) -> list[tuple[int, str]]:
        return [
            (self.line(i), self.text(i + 1))
            for i in self._at("include")
            if self.code[i].directive and self.text(i - 1) == "#"
        ]

    def _names(self) -> list[tuple[int, str]]:
        """Every name once, with the line where it first stands."""
        first: dict[str, int] = {}
        for i, t in enumerate(self.code):
            if t.kind == "name" and t.text not in first:
                first[t.text] = self.line(i)
        return [(line, name) for name, line in first.items()]

    def _functions(self) -> list[tuple[int, int]]:
        found = set()
        for word in ("__global__", "__device__"):
            for i in self._at(word):
                stop = self._next(i, "{")
                ends = self._next(i, ";")
                if stop is None or stop not in self.partner or (ends is not None and ends < stop):
                    continue
                found.add((self.line(self.statement(i)), self.line(self.partner[stop])))
        return sorted(found)

    def _assembly(self) -> list[int]:
        found = []
        for word in ("asm", "__asm__", "__asm"):
            for i in self._at(word):
                after = self.text(i + 1)
                opening = i + 2 if after in ("volatile", "__volatile__") else i + 1
                if self.text(opening) == "(":
                    found.append(self.line(i))
        return sorted(found)


def _edited(source: str, edits: list[tuple[int, int, str]]) -> str:
    pieces, position = [], 0
    for begin, end, put in edits:
        pieces += [source[position:begin], put]
        position = end
    return "".join([*pieces, source[position:]])


def names_allocated(source: str) -> dict[int, list[str]]:
    """Line of each cudaMalloc and the like -> what its first argument points to: {12: ["d_x"]}."""
    code = [t for t in tokens(source) if is_code(t)]
    starts = [i for i, c in enumerate(source) if c == "\n"]
    found: dict[int, list[str]] = {}
    for i, token in enumerate(code[:-2]):
        if token.kind != "name" or not token.text.startswith("cuda") or code[i + 1].text != "(":
            continue
        if "Malloc" not in token.text and token.text != "cudaHostAlloc":
            continue
        words: list[str] = []
        depth = 0
        for t in code[i + 1 :]:
            depth += (t.text in OPEN) - (t.text in CLOSE)
            if depth == 0 or (depth == 1 and t.text == ","):
                break
            words.append(t.text)
            if depth == 1 and t.text == ")":
                words = []  # a cast
        line = bisect.bisect_left(starts, token.start) + 1
        found.setdefault(line, []).append("".join(words).lstrip("(&"))
    return found
