"""A pickle machine that builds plain data only.

It replaces Python's unpickler, which imports and calls whatever a file names: here a global is a mere name, and the
only calls are those in a table that the caller gives. Python's `pickletools` decodes the opcodes; nothing of `pickle`
is used. Memory is bounded: no argument is longer than the file, and instructions and whatever a call may copy are
counted against the file's budget.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from gan_edit_engine.checkpoints.budget import Budget
from gan_edit_engine.checkpoints.errors import MalformedError

Call = Callable[..., object]
MAX_KEY_BITS = 60


@dataclass(frozen=True)
class GlobalName:
    """A class or function that the pickle names ("module.attribute"); never resolved to anything."""

    name: str


class Stateful:
    """An object that the BUILD opcode may give its state to."""

    def set_state(self, state: object) -> None:
        """Take over ``state``; raises MalformedError when it is not of the right form."""
        raise NotImplementedError


@dataclass(frozen=True)
class Vocabulary:
    """What a pickle may name: ``calls`` may be called with arguments, ``names`` only be mentioned.

    ``budget``: what is left of the file's, which all of its pickles share.
    """

    budget: Budget
    calls: Mapping[str, Call]
    names: frozenset[str] = frozenset()
    persistent: Callable[[object], object] | None = None


_MARK = object()
_SCALARS = (str, bytes, int, float, type(None), GlobalName)
_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset(
    ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
    + ("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
    + ("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
)
_EMPTY: dict[str, Callable[[], object]] = {
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_IGNORED = frozenset({"PROTO", "FRAME"})


def load(stream: BinaryIO, vocabulary: Vocabulary) -> object:
    """The plain object that the pickle at the stream's position describes; the stream is left behind it.

    ``stream`` must return only what is there when asked for more (io.BytesIO, mmap), so that a claimed length cannot
    make it allocate. Raises MalformedError with the reason.
    """
    machine = _Machine(vocabulary)
    try:
        with warnings.catch_warnings():
            # pickletools decodes old text strings, about whose odd escapes Python warns.
            warnings.simplefilter("ignore", DeprecationWarning)
            return machine.run(stream)
    except MalformedError:
        raise
    except ValueError as error:
        if not stream.read(1):  # where pickletools ends that wants more than there is
            raise MalformedError("it is truncated: it ends in the middle of its data") from None
        raise _damaged(error) from None
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise _damaged(error) from None
    finally:
        machine.forget()


def _damaged(error: Exception) -> MalformedError:
    return MalformedError(f"its pickle is damaged ({str(error)[:100] or type(error).__name__})")


class _Machine:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def forget(self) -> None:
        """Let go of everything: the error's traceback would otherwise keep it alive."""
        self.stack.clear()
        self.memo.clear()

    def run(self, stream: BinaryIO) -> object:
        for opcode, argument, _ in pickletools.genops(stream):
            self.vocabulary.budget.make()
            if opcode.name == "STOP":
                return self._pop()
            self._step(opcode.name, argument)
        raise MalformedError("its pickle ends before its end")

    def _step(self, name: str, argument: object) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _HANDLERS:
            _HANDLERS[name](self, argument)
        elif name not in _IGNORED:
            raise MalformedError(f"its pickle uses the instruction {name}, which no model needs")

    def _pop(self) -> object:
        value = self.stack.pop()
        if value is _MARK:
            raise MalformedError("its pickle is damaged (a mark where a value should be)")
        return value

    def _pop_to_mark(self) -> list[object]:
        for start in range(len(self.stack) - 1, -1, -1):
            if self.stack[start] is _MARK:
                values = self.stack[start + 1 :]
                del self.stack[start:]
                return values
        raise MalformedError("its pickle is damaged (a mark is missing)")

    def _top(self, kind: type) -> object:
        if not isinstance(self.stack[-1], kind):
            raise MalformedError(f"its pickle is damaged (no {kind.__name__} to add to)")
        return self.stack[-1]

    def _call(self, function: object, arguments: object) -> object:
        if not isinstance(function, GlobalName) or not isinstance(arguments, tuple):
            raise MalformedError("its pickle calls something that is not a function")
        if function.name not in self.vocabulary.calls:
            raise MalformedError(f"its pickle calls {function.name}, which is not allowed")
        self._charge(arguments)
        return self.vocabulary.calls[function.name](*arguments)

    def _charge(self, arguments: tuple[object, ...]) -> None:
        """What the call may copy: its arguments can be the same, memoised ones again and again."""
        budget = self.vocabulary.budget
        budget.make(len(arguments))
        for argument in arguments:
            if isinstance(argument, (str, bytes)):
                budget.copy(len(argument))
            elif isinstance(argument, (tuple, list, dict, set, frozenset)):
                budget.make(len(argument))

    def _global(self, name: str) -> GlobalName:
        if name not in self.vocabulary.calls and name not in self.vocabulary.names:
            raise MalformedError(f"it names {name[:100]!r}, which no known model needs; nothing was executed")
        return GlobalName(name)

    # Opcodes, one method each.
    def _op_mark(self, _: object) -> None:
        self.stack.append(_MARK)

    def _op_pop(self, _: object) -> None:
        self.stack.pop()

    def _op_pop_mark(self, _: object) -> None:
        self._pop_to_mark()

    def _op_dup(self, _: object) -> None:
        self.stack.append(self.stack[-1])

    def _op_global(self, argument: object) -> None:
        self.stack.append(self._global(str(argument).replace(" ", ".", 1)))

    def _op_stack_global(self, _: object) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise MalformedError("its pickle names a global that is not text")
        self.stack.append(self._global(f"{module}.{name}"))

    def _op_reduce(self, _: object) -> None:
        arguments = self._pop()
        self.stack.append(self._call(self._pop(), arguments))

    _op_newobj = _op_reduce

    def _op_build(self, _: object) -> None:
        state = self._pop()
        target = self.stack[-1]
        if isinstance(target, Stateful):
            target.set_state(state)
        elif not isinstance(target, dict):  # a dict's attributes (a state dict's _metadata) are of no use
            raise MalformedError("its pickle gives a state to something that has none")

    def _op_binpersid(self, _: object) -> None:
        if self.vocabulary.persistent is None:
            raise MalformedError("its pickle refers to data outside of itself")
        self.stack.append(self.vocabulary.persistent(self._pop()))

    def _op_tuple(self, _: object) -> None:
        self.stack.append(tuple(self._pop_to_mark()))

    def _tuple_of(self, count: int) -> None:
        values = tuple(reversed([self._pop() for _ in range(count)]))
        self.stack.append(values)

    def _op_tuple1(self, _: object) -> None:
        self._tuple_of(1)

    def _op_tuple2(self, _: object) -> None:
        self._tuple_of(2)

    def _op_tuple3(self, _: object) -> None:
        self._tuple_of(3)

    def _op_list(self, _: object) -> None:
        self.stack.append(self._pop_to_mark())

    def _op_dict(self, _: object) -> None:
        items = self._pop_to_mark()
        self.stack.append({})
        self._set_items(items)

    def _op_append(self, _: object) -> None:
        value = self._pop()
        target = self._top(list)
        assert isinstance(target, list)
        target.append(value)

    def _op_appends(self, _: object) -> None:
        values = self._pop_to_mark()
        target = self._top(list)
        assert isinstance(target, list)
        target.extend(values)

    def _op_additems(self, _: object) -> None:
        values = self._pop_to_mark()
        target = self._top(set)
        assert isinstance(target, set)
        target.update(hashable(value) for value in values)

    def _op_frozenset(self, _: object) -> None:
        self.stack.append(frozenset(hashable(value) for value in self._pop_to_mark()))

    def _op_setitem(self, _: object) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _op_setitems(self, _: object) -> None:
        self._set_items(self._pop_to_mark())

    def _set_items(self, items: list[object]) -> None:
        target = self._top(dict)
        assert isinstance(target, dict)
        if len(items) % 2:
            raise MalformedError("its pickle is damaged (a key without a value)")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[hashable(key)] = value

    def _op_memoize(self, _: object) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _op_put(self, argument: object) -> None:
        assert isinstance(argument, int)
        self.memo[argument] = self.stack[-1]

    _op_binput = _op_long_binput = _op_put

    def _op_get(self, argument: object) -> None:
        assert isinstance(argument, int)
        self.stack.append(self.memo[argument])

    _op_binget = _op_long_binget = _op_get


_HANDLERS: dict[str, Callable[[_Machine, object], None]] = {
    name[4:].upper(): method for name, method in vars(_Machine).items() if name.startswith("_op_")
}


def hashable(value: object) -> object:
    """``value`` if it may be a key: scalars only, since hashing deeply nested tuples overflows the C stack.

    Nor integers of 61 bits and more, of which as many as one likes have the same hash.
    """
    if not isinstance(value, _SCALARS) or (isinstance(value, int) and value.bit_length() > MAX_KEY_BITS):
        raise MalformedError(f"its pickle uses a {type(value).__name__} as a key")
    return value
