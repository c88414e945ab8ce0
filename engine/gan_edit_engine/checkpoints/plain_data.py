"""The allow-list: what a checkpoint's pickle may name, and the plain data that stands for each.

Arrays and tensors stay views of the bytes read until somebody asks for them, never hold more elements than there are
bytes, and together not more than the file has; persistent objects (NVIDIA's pickled modules) become their class name
and their attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gan_edit_engine.checkpoints.budget import Budget
from gan_edit_engine.checkpoints.errors import MalformedError
from gan_edit_engine.checkpoints.pickle_machine import Call, GlobalName, Stateful, Vocabulary

MAX_DIMENSIONS = 8
# Element types by torch storage class and by torch dtype; bfloat16 is read as the upper half of a float32.
STORAGE_DTYPES = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "BFloat16Storage": "bfloat16",
    "ByteStorage": "<u1",
    "CharStorage": "<i1",
    "ShortStorage": "<i2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
    "BoolStorage": "|b1",
}
NUMPY_CODES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


@dataclass
class Storage:
    """Raw elements of a tensor: little-endian bytes and their numpy type ("bfloat16" for torch's)."""

    data: bytes | memoryview
    dtype: str

    @cached_property
    def elements(self) -> np.ndarray:
        """All elements, 1-D, read-only; bfloat16 becomes float32 (one copy, however many tensors are views of it)."""
        if self.dtype != "bfloat16":
            return np.frombuffer(self.data, dtype=self.dtype)
        return (np.frombuffer(self.data, dtype="<u2").astype("<u4") << 16).view("<f4")


@dataclass
class Array(Stateful):
    """A tensor or numpy array: a strided window into a storage, in elements. ``budget`` is its file's."""

    budget: Budget
    storage: Storage | None = None
    offset: int = 0
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()

    def numpy(self) -> np.ndarray:
        """The values; a view where possible. Raises MalformedError when the window leaves its storage."""
        if self.storage is None:
            raise MalformedError("an array has no data")
        elements = self.storage.elements
        # numel <= storage also forbids strides of zero that would blow a few bytes up to any size.
        size = math.prod(self.shape)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if size > len(elements) or (size and last >= len(elements)):
            raise MalformedError(f"a tensor of shape {list(self.shape)} does not fit its data")
        self.budget.hand_out(size)
        steps = [s * elements.itemsize for s in self.strides]
        return np.lib.stride_tricks.as_strided(elements[self.offset :], self.shape, steps, writeable=False)

    def set_state(self, state: object) -> None:
        """The state of a numpy array: (version, shape, dtype, is Fortran order, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise MalformedError("a numpy array has no usable state")
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, DType) or not isinstance(data, bytes):
            raise MalformedError("a numpy array is not made of numbers")
        self.shape = sizes(shape)
        order = range(len(self.shape)) if fortran else range(len(self.shape) - 1, -1, -1)
        strides, step = [0] * len(self.shape), 1
        for axis in order:
            strides[axis] = step
            step *= self.shape[axis]
        if step * np.dtype(dtype.numpy).itemsize != len(data):
            raise MalformedError(f"a numpy array of shape {list(self.shape)} does not fit its {len(data)} bytes")
        self.storage, self.strides = Storage(data, dtype.numpy), tuple(strides)


@dataclass
class DType(Stateful):
    """A numpy element type."""

    code: str
    order: str = "<"

    @property
    def numpy(self) -> str:
        """Type string with byte order, such as "<f4"."""
        return self.order + self.code

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise MalformedError("a numpy type has no usable state")
        self.order = "<" if state[1] == "=" else str(state[1])


@dataclass
class Persistent:
    """An instance of one of NVIDIA's persistent classes: its class name and attributes, without its source text."""

    class_name: str
    state: dict[str, object]


@dataclass
class Instance(Stateful):
    """An instance of an allowed class of which only the attributes matter."""

    name: str
    state: dict[str, object] = field(default_factory=dict)

    def set_state(self, state: object) -> None:
        if not isinstance(state, dict):
            raise MalformedError(f"a {self.name} has no usable state")
        self.state = state


def sizes(value: object) -> tuple[int, ...]:
    """``value`` as array sizes; MalformedError unless it is a short tuple of integers >= 0."""
    if not isinstance(value, (tuple, list)) or len(value) > MAX_DIMENSIONS:
        raise MalformedError("a tensor's shape is not a list of sizes")
    if not all(type(n) is int and 0 <= n < 2**48 for n in value):
        raise MalformedError("a tensor's shape is not a list of sizes")
    return tuple(value)


def _tensor_of(budget: Budget) -> Call:
    def rebuild(storage: object, offset: object, size: object, stride: object, *_: object) -> Array:
        if not isinstance(storage, Storage):
            raise MalformedError("a tensor has no storage")
        shape, strides, (start,) = sizes(size), sizes(stride), sizes((offset,))
        if len(shape) != len(strides):
            raise MalformedError("a tensor's shape and strides disagree")
        return Array(budget, storage, start, shape, strides)

    return rebuild


def _rebuild_parameter(data: object, *_: object) -> Array:
    if not isinstance(data, Array):
        raise MalformedError("a parameter has no tensor")
    return data


def _ordered_dict(items: object = ()) -> dict[object, object]:
    if not isinstance(items, (list, tuple)) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in items):
        raise MalformedError("an ordered dictionary is not made of pairs")
    if not all(isinstance(key, str) for key, _ in items):
        raise MalformedError("an ordered dictionary has a key that is not text")
    return dict(items)


def _set(items: object = ()) -> set[object]:
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, (str, int, float)) for item in items):
        raise MalformedError("a set holds something that is not text or a number")
    return set(items)


def _dill_array_of(budget: Budget) -> Call:
    """How dill stores numpy arrays: their own maker, its arguments, and their state in one call."""

    def create(maker: object, arguments: object, state: object, *_: object) -> Array:
        if not isinstance(maker, GlobalName) or not maker.name.endswith("core.multiarray._reconstruct"):
            raise MalformedError("a numpy array is not made by numpy")
        array = Array(budget)
        array.set_state(state)
        return array

    return create


def _dtype(code: object, *_: object) -> DType:
    if not isinstance(code, str) or code.lstrip("<|=") not in NUMPY_CODES:
        raise MalformedError(f"a numpy array has the element type {str(code)[:40]!r}, which is not a plain number")
    return DType(code.lstrip("<|="))


def _scalar(dtype: object, data: object = b"") -> object:
    if not isinstance(dtype, DType) or not isinstance(data, bytes) or np.dtype(dtype.numpy).itemsize != len(data):
        raise MalformedError("a numpy number does not fit its type")
    return np.frombuffer(data, dtype=dtype.numpy)[0].item()


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """How protocol 2 stores bytes: as text to encode."""
    if not isinstance(text, str) or encoding != "latin1":
        raise MalformedError("bytes are not stored as latin-1 text")
    return text.encode("latin1")


def _persistent(meta: object) -> Persistent:
    """NVIDIA's snapshots embed the module's source in ``meta``; it is dropped unread."""
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise MalformedError("a persistent object is not described as a class")
    state, class_name = meta.get("state"), meta.get("class_name")
    if not isinstance(state, dict) or not isinstance(class_name, str):
        raise MalformedError("a persistent object has no class name or state")
    return Persistent(class_name, state)


def _instance_of(name: str) -> Call:
    def make(*arguments: object) -> Instance:
        if arguments:
            raise MalformedError(f"a {name} is made with arguments")
        return Instance(name)

    return make


def _numpy_names(suffix: str, call: Call) -> dict[str, Call]:
    """NumPy 2 moved its core; both spellings occur in files."""
    return {f"numpy.core.multiarray.{suffix}": call, f"numpy._core.multiarray.{suffix}": call}


CALLS: dict[str, Call] = {
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
    "collections.OrderedDict": _ordered_dict,
    "dnnlib.util.EasyDict": _ordered_dict,
    "dnnlib.tflib.network.Network": _instance_of("dnnlib.tflib.network.Network"),
    "argparse.Namespace": _instance_of("argparse.Namespace"),
    "torch.nn.modules.sparse.Embedding": _instance_of("torch.nn.modules.sparse.Embedding"),
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "numpy.dtype": _dtype,
    "builtins.set": _set,
    "__builtin__.set": _set,
    "_codecs.encode": _encode,
    **_numpy_names("scalar", _scalar),
}
NAMES = frozenset({"numpy.ndarray", *(f"torch.{name}" for name in STORAGE_DTYPES)})


def vocabulary(
    budget: Budget, persistent: Callable[[object], object] | None = None, load_from_bytes: Call | None = None
) -> Vocabulary:
    """The allow-list, with the container's way to find storages: persistent ids (torch files) or inner bytes."""
    rebuild = _tensor_of(budget)
    arrays: dict[str, Call] = {
        "torch._utils._rebuild_tensor_v2": rebuild,
        "torch._utils._rebuild_tensor": rebuild,
        "dill._dill._create_array": _dill_array_of(budget),
        **_numpy_names("_reconstruct", lambda *_: Array(budget)),
    }
    inner = {} if load_from_bytes is None else {"torch.storage._load_from_bytes": load_from_bytes}
    return Vocabulary(budget, {**CALLS, **arrays, **inner}, NAMES, persistent)


def storage_dtype(kind: object) -> str:
    """Element type of a torch storage class named by a pickle."""
    name = kind.name.removeprefix("torch.") if isinstance(kind, GlobalName) else ""
    if name not in STORAGE_DTYPES:
        raise MalformedError("a tensor is not made of plain numbers")
    return STORAGE_DTYPES[name]
