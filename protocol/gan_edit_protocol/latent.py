"""A latent with all that belongs to it, and the forms in which it is kept: with a layer of GIMP, and in a file.

How it travels in a message is in ``entries``.
"""

from __future__ import annotations

import base64
import dataclasses
from dataclasses import dataclass
from typing import Any

from .arrays import Array
from .errors import WireError, require

WS = "latent"
"""What ``ws`` is called in a file."""
PARTS = {"noise": "float32", "z": "float32", "residual": "uint16"}
"""The arrays that may belong to ``ws``, with their types."""
_FLOAT32_MAX = 3.4e38


@dataclass(frozen=True)
class Latent:
    """A place in w+, and what else its image is made of.

    ``ws``: num_ws × w_dim float32. ``noise``: the noise maps that belong to it where they were searched too: the
    model's maps from coarse to fine, flattened one after the other, in rows of 1024 float32 values and zeros at the
    end. ``residual``: of the model's features, which belongs to it too where it was searched, C × S × S: the 16 bits of
    half-precision numbers as uint16. ``z``: z_dim float32 where ws is the mapping of a z, truncated by
    ``truncation_psi``. ``model``: that it belongs to, as a request names it; empty where that is not known.

    Raises :class:`WireError` when made of arrays of another form.
    """

    ws: Array
    noise: Array | None = None
    residual: Array | None = None
    z: Array | None = None
    truncation_psi: float = 1.0
    model: str = ""

    def __post_init__(self) -> None:
        require(_has_form(self.ws, "float32", 2), "A latent must be float32, num_ws × w_dim.")
        require(_has_form(self.noise, PARTS["noise"], 2), "Noise maps must be float32, in rows.")
        require(_has_form(self.residual, PARTS["residual"], 3), "A residual must be uint16, C × S × S.")
        require(_has_form(self.z, PARTS["z"], 1), "A z must be float32, z_dim.")
        require(abs(self.truncation_psi) <= _FLOAT32_MAX, "A truncation must be a number.")

    def moved_to(self, ws: Array) -> Latent:
        """Another place with the same noise maps and residual, which is not known to be the mapping of a z."""
        return Latent(ws, self.noise, self.residual, model=self.model)

    def of_model(self, name: str) -> Latent:
        """The same with ``name`` for its model."""
        return dataclasses.replace(self, model=name)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, which are ASCII: arrays as base64 of their bytes."""
        values = {"model": self.model, "dtype": self.ws.dtype, **_packed("", self.ws)}
        values["truncation_psi"] = self.truncation_psi
        for name, array in self._parts().items():
            values.update(_packed(f"{name}_", array))
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Latent:
        """What :meth:`to_json` gave, other values beside it or not; ValueError when it is damaged.

        Only model, dtype, shape and data must be there: earlier versions kept no more.
        """
        try:
            parts = {
                name: _unpacked(f"{name}_", values, dtype) for name, dtype in PARTS.items() if f"{name}_data" in values
            }
            psi = float(values.get("truncation_psi", 1.0))
            ws = _unpacked("", values, values["dtype"])
            return cls(ws, **parts, truncation_psi=psi, model=str(values["model"]))
        except (KeyError, TypeError, WireError) as error:
            raise ValueError(f"no latent: {error}") from None

    def to_file(self) -> tuple[dict[str, Array], dict[str, str]]:
        """The tensors of a latent file by name, and its header. (A file calls a residual's type float16.)"""
        return {WS: self.ws, **self._parts()}, {"model": self.model, "truncation_psi": repr(self.truncation_psi)}

    @classmethod
    def from_file(cls, tensors: dict[str, Array], header: dict[str, str]) -> Latent:
        """What :meth:`to_file` gave; tensors of other names do not count.

        Raises :class:`WireError` when there is no latent or something is of another form, and ValueError when the
        truncation is no number.
        """
        require(WS in tensors, "There is no latent.")
        parts = {name: tensors[name] for name in PARTS if name in tensors}
        psi = float(header.get("truncation_psi", 1.0))
        return cls(tensors[WS], **parts, truncation_psi=psi, model=header.get("model", ""))

    def _parts(self) -> dict[str, Array]:
        return {name: array for name in PARTS if (array := getattr(self, name)) is not None}


def _has_form(array: Array | None, dtype: str, dimensions: int) -> bool:
    return array is None or (array.dtype == dtype and len(array.shape) == dimensions)


def _packed(prefix: str, array: Array) -> dict[str, Any]:
    return {f"{prefix}shape": list(array.shape), f"{prefix}data": base64.b64encode(array.data).decode("ascii")}


def _unpacked(prefix: str, values: dict[str, Any], dtype: str) -> Array:
    return Array(dtype, tuple(values[f"{prefix}shape"]), base64.b64decode(values[f"{prefix}data"]))
