"""Containers: modules and parameters in order, in lists and under keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from tinygrad_mmb.autograd.tensor import Tensor, tensor
from tinygrad_mmb.nn.joined import steps
from tinygrad_mmb.nn.linear import Linear
from tinygrad_mmb.nn.module import Module, indented, no_module
from tinygrad_mmb.nn.parameter import Parameter


class Numbered(Module):
    """Entries under the names "0", "1", ...: what ModuleList and ParameterList share."""

    def _entries(self) -> list[Any]:
        return [value for name, value in vars(self).items() if name.isdigit()]

    def _refill(self, entries: Iterable[Any]) -> None:
        for name in [name for name in vars(self) if name.isdigit()]:
            delattr(self, name)
        for i, entry in enumerate(entries):
            setattr(self, str(i), entry)

    def _position(self, index: int) -> int:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(
                f"index {index} is out of range: {type(self).__name__} holds {n} entries"
            )
        return index % n

    def __len__(self) -> int:
        return len(self._entries())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._entries())

    def __contains__(self, value: object) -> bool:
        return any(value is entry for entry in self._entries())


class Sequential(Module):
    """One module after the other: Sequential(Linear(3, 8), ReLU()), or a dict of them.

    A Linear or Conv2d and the activation after it may run as one op; see joined.py.
    """

    def __init__(self, *args: Any) -> None:
        named = args[0].items() if len(args) == 1 and isinstance(args[0], dict) else enumerate(args)
        for name, module in named:
            if not isinstance(module, Module) and module is not None:
                raise TypeError(f"Sequential, argument {name}: {no_module(module)}")
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        for step in steps(self._layers()):
            input = step(input)
        return input

    def _names(self) -> list[str]:
        return [name for name, value in vars(self).items() if isinstance(value, Module)]

    def _layers(self) -> list[Module]:
        return [value for value in vars(self).values() if isinstance(value, Module)]

    def _name_at(self, index: int) -> str:
        names = self._names()
        if not -len(names) <= index < len(names):
            raise IndexError(
                f"index {index} is out of range: Sequential holds {len(names)} modules"
            )
        return names[index]

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            names = self._names()[index]
            return type(self)({name: getattr(self, name) for name in names})
        return getattr(self, self._name_at(index))

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = self._names()[index] if isinstance(index, slice) else [self._name_at(index)]
        for name in names:
            delattr(self, name)
        self._renumber(self._layers())

    def _renumber(self, modules: list[Module]) -> None:
        for name in self._names():
            delattr(self, name)
        for i, module in enumerate(modules):
            setattr(self, str(i), module)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, sequential: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        for module in sequential:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before position `index`."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"index {index} is out of range: Sequential holds {len(self)} modules")
        modules = self._layers()
        modules.insert(index + len(modules) if index < 0 else index, module)
        self._renumber(modules)
        return self

    def pop(self, key: int | slice) -> Any:
        """Take a module out and return it."""
        module = self[key]
        del self[key]
        return module

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(Linear(3, 2), Linear(2, 4)), rng.standard_normal((n, 3))
        yield cls({"first": Linear(3, 2), "second": Linear(2, 3)}), rng.standard_normal((n, 3))
        yield cls(), rng.standard_normal((n, 3))


class ModuleList(Numbered):
    """A list of modules whose parameters are found. It has no forward of its own."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(modules or ())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(self._entries()[index])
        return self._entries()[self._position(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(str(self._position(index)), module)

    def __delitem__(self, index: int | slice) -> None:
        entries = self._entries()
        del entries[index]
        self._refill(entries)

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleList.extend needs an iterable, not {type(modules).__name__}")
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Add a module before position `index`."""
        entries = self._entries()
        entries.insert(index, module)
        self._refill(entries)

    def pop(self, key: int | slice) -> Any:
        """Take a module out and return it."""
        module = self[key]
        del self[key]
        return module

    def __repr__(self) -> str:
        """Equal neighbours in one line: (0-1): 2 x Linear(...)."""
        runs: list[tuple[int, int, str]] = []
        for i, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        lines = [
            f"({first}): {indented(text)}" if first == last
            else f"({first}-{last}): {last - first + 1} x {indented(text)}"
            for first, last, text in runs
        ]  # fmt: skip
        return f"{self._get_name()}(" + ("\n  " + "\n  ".join(lines) + "\n" if lines else "") + ")"

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (cls([Linear(3, 2), Linear(3, 2), Linear(2, 1)]),)
        yield (cls(),)


class ModuleDict(Module):
    """Modules under keys of your own. It has no forward of its own."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        if modules is not None:
            self.update(modules)

    def _keys(self) -> list[str]:
        return [name for name, value in vars(self).items() if isinstance(value, Module)]

    def __getitem__(self, key: str) -> Module:
        if key not in self._keys():
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self._keys():
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __contains__(self, key: object) -> bool:
        return key in self._keys()

    def clear(self) -> None:
        """Take all modules out."""
        for key in self._keys():
            delattr(self, key)

    def pop(self, key: str) -> Module:
        """Take a module out and return it."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> Iterable[str]:
        """The keys, in order of assignment."""
        return self._keys()

    def items(self) -> Iterable[tuple[str, Module]]:
        """(key, module), in order of assignment."""
        return [(key, getattr(self, key)) for key in self._keys()]

    def values(self) -> Iterable[Module]:
        """The modules, in order of assignment."""
        return [getattr(self, key) for key in self._keys()]

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, or put them in the place of those that have their keys."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"ModuleDict.update needs a mapping or pairs, not {type(modules).__name__}"
            )
        for key, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[key] = module

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (cls({"first": Linear(3, 2), "second": Linear(2, 1)}),)
        yield (cls(),)


class ParameterList(Numbered):
    """A list of parameters; Tensors that are put in become Parameters."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self.extend(values or ())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(self._entries()[index])
        return self._entries()[self._position(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, str(self._position(index)), as_parameter(value))

    def append(self, value: Any) -> Self:
        """Add a parameter at the end."""
        setattr(self, str(len(self)), as_parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add several parameters at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend needs an iterable, not {type(values).__name__}")
        for value in values:
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def pop(self, index: int = -1) -> Any:
        """Take a parameter out and return it."""
        entries = self._entries()
        value = entries.pop(index)
        self._refill(entries)
        return value

    def __repr__(self) -> str:
        lines = [
            f"({i}): {'Parameter' if isinstance(p, Parameter) else type(p).__name__} containing: "
            f"[{p.dtype} of size {'x'.join(map(str, p.shape))}]"
            for i, p in enumerate(self)
        ]
        return (
            "ParameterList("
            + "".join(f"\n    {line}" for line in lines)
            + ("\n)" if lines else ")")
        )

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        raise RuntimeError("ParameterList should not be called.")

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (cls([tensor(rng.standard_normal(3)), tensor(rng.standard_normal((2, 1)))]),)
        yield (cls(),)


def as_parameter(value: Any) -> Any:
    """Tensors as Parameters; everything else as it is."""
    return (
        Parameter(value)
        if isinstance(value, Tensor) and not isinstance(value, Parameter)
        else value
    )
