"""A device that no machine has: its tensors hold values and compute, but refuse to meet the processor's own.

While a `PretendedDevice` is entered, ``DEVICE`` behaves as a graphics card does, on any machine: what is made there or
sent there stays there, a tensor of the processor may join in only where torch lets it, and values come back only by a
copy. It is as strict as the strictest card: it has no float64 (Apple's has none).

To torch it is "lazy": of the types that a tensor may claim, one for whose gradients it needs no card, and which it
handles like any other device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

DEVICE = torch.device("lazy")

# Where torch lets tensors of two devices meet: in copies, and in indexing by positions that lie on the processor.
_MEETINGS = ("aten::copy_", "aten::index")


class DeviceMixedError(AssertionError):
    """An operation was asked of tensors that lie on different devices.

    torch's own is a RuntimeError, which the engine in places takes for a device that lacks something.
    """


class PretendedTensor(Tensor):
    """A tensor on ``DEVICE``; ``values`` is where it really lies."""

    values: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values: Tensor) -> PretendedTensor:
        if values.dtype == torch.float64:
            raise TypeError("The pretended device has no float64.")
        found = Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=DEVICE,
        )
        found.values = values
        return found

    def data_ptr(self) -> int:
        return self.values.data_ptr()

    @classmethod
    def __torch_dispatch__(
        cls, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(operation, args, kwargs or {})


class PretendedDevice(TorchDispatchMode):
    """Inside, ``DEVICE`` is there."""

    def __enter__(self) -> PretendedDevice:
        # torch.tensor(..., device=DEVICE) then makes its values on the processor and sends them, which is seen here.
        self._lifted_before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        torch._C._set_only_lift_cpu_tensors(self._lifted_before)

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(operation, args, kwargs or {})


def _run(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute on the values; the results lie where a real device's would."""
    leaves, structure = tree_flatten((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    meets = any(isinstance(tensor, PretendedTensor) for tensor in tensors)
    wanted = kwargs.get("device")
    there = meets if wanted is None else torch.device(wanted).type == DEVICE.type
    if meets and operation._schema.name not in _MEETINGS:
        _refuse_strangers(operation, tensors)
    if there and kwargs.get("generator") is not None:
        raise DeviceMixedError(f"{operation._schema.name} on {DEVICE} cannot draw from the processor's generator")
    values, options = tree_unflatten([_values(leaf) for leaf in leaves], structure)
    result = operation(*values, **(options if wanted is None else {**options, "device": torch.device("cpu")}))
    if any(_is_written(returned) for returned in operation._schema.returns):
        return _written_argument(operation, args, kwargs)
    return tree_map_only(Tensor, PretendedTensor, result) if there else result


def _refuse_strangers(operation: Any, tensors: list[Tensor]) -> None:
    """DeviceMixedError when one of the tensors lies on the processor; scalars are passed by value and may."""
    shapes = [tuple(tensor.shape) for tensor in tensors if not isinstance(tensor, PretendedTensor) and tensor.ndim]
    if shapes:
        raise DeviceMixedError(f"{operation._schema.name} got tensors on {DEVICE}, and on the processor of {shapes}")


def _is_written(value: Any) -> bool:
    """Whether an operation writes into this argument of its schema, or returns the one that it has written into."""
    return value.alias_info is not None and value.alias_info.is_write


def _written_argument(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``add_`` and its like return: the very tensor that they were given."""
    names = {argument.name: number for number, argument in enumerate(operation._schema.arguments)}
    name = next(argument.name for argument in operation._schema.arguments if _is_written(argument))
    return kwargs[name] if name in kwargs else args[names[name]]


def _values(leaf: Any) -> Any:
    return leaf.values if isinstance(leaf, PretendedTensor) else leaf
