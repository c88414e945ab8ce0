"""Small tools to write pickles opcode by opcode, and torch containers around them."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

# A builder writes its file to the path; executing it would create the canary.
Builder = Callable[[Path, Path], None]


def text(value: str) -> bytes:
    """BINUNICODE."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def blob(value: bytes) -> bytes:
    """BINBYTES."""
    return b"B" + struct.pack("<I", len(value)) + value


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    """GLOBAL, a tuple of already pickled arguments, REDUCE."""
    return name(module, attribute) + b"(" + b"".join(arguments) + b"tR"


def number(value: int) -> bytes:
    """The opcode for an integer of any size."""
    return pickle.dumps(value, protocol=2)[2:-1]


def whole(body: bytes) -> bytes:
    """A complete protocol-4 pickle of ``body``."""
    return b"\x80\x04" + body + b"."


def dictionary(items: dict[str, bytes]) -> bytes:
    """A dictionary with already pickled values."""
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def shell(canary: Path) -> bytes:
    """A call of os.system that creates the canary."""
    return call("os", "system", text(f"touch {canary}"))


def legacy_stream(content: bytes, keys: bytes = b"]", storages: bytes = b"") -> bytes:
    """torch's stream of before 1.6 around an already pickled content."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(part, protocol=2) for part in (LEGACY_MAGIC, 1001, system))
    return head + b"\x80\x02" + content + b"." + b"\x80\x02" + keys + b"." + storages


def torch_zip(content: bytes, storages: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """torch's zip archive around an already pickled content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + content + b".")
        archive.writestr("archive/version", b"3\n")
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)
    return buffer.getvalue()


def storage_id(key: str, count: int, kind: str = "FloatStorage") -> bytes:
    """The persistent id of a storage, looked up."""
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + number(count) + b"tQ"


def tensor(storage: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """A call of torch's tensor builder."""
    sizes, steps = (b"(" + b"".join(number(n) for n in values) + b"t" for values in (shape, strides))
    return call("torch._utils", "_rebuild_tensor_v2", storage, number(offset), sizes, steps, b"\x89", b"N")


def ndarray(shape: tuple[int, ...], data: bytes, code: str = "f4") -> bytes:
    """A numpy array as numpy pickles it."""
    empty = call("numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray"), b"(K\x00t", blob(b"b"))
    dtype = call("numpy", "dtype", text(code), b"\x89", b"\x88")
    dtype += b"(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    sizes = b"(" + b"".join(number(n) for n in shape) + b"t"
    return empty + b"(K\x01" + sizes + dtype + b"\x89" + blob(data) + b"tb"


def persistent(class_name: str, state: bytes, source: str = "") -> bytes:
    """One of NVIDIA's persistent objects with its embedded source text."""
    meta = {"type": text("class"), "version": number(6), "module_src": text(source)}
    meta |= {"class_name": text(class_name), "state": state}
    return call("torch_utils.persistence", "_reconstruct_persistent_obj", dictionary(meta))


def writes(body: Callable[[Path], bytes]) -> Builder:
    """A builder that writes what ``body`` makes of the canary's path."""

    def build(path: Path, canary: Path) -> None:
        path.write_bytes(body(canary))

    build.__doc__, build.__name__ = body.__doc__, body.__name__
    return build
