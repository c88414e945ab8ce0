"""The three containers that hold pickled checkpoints: a plain pickle, torch's zip archive and torch's older stream.

Each gives the same plain data (see `plain_data`). Sizes are compared with the file before anything is read, and what
is no model at all is named.
"""

from __future__ import annotations

import io
import mmap
import zipfile
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from gan_edit_engine.checkpoints.budget import Budget
from gan_edit_engine.checkpoints.errors import CheckpointError, MalformedError
from gan_edit_engine.checkpoints.foreign import HEAD, check_head
from gan_edit_engine.checkpoints.pickle_machine import load
from gan_edit_engine.checkpoints.plain_data import Storage, storage_dtype, vocabulary

ZIP_MAGIC = b"PK\x03\x04"
# torch.save before 1.6 starts with this number, pickled.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
LEGACY_HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
MAX_ZIP_ENTRIES = 100_000


def load_plain(path: Path) -> object:
    """The content of a pickled checkpoint as plain data; CheckpointError naming the file and the reason."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            check_head(path, head)
            length = path.stat().st_size
            budget = Budget(length)
            if head.startswith(ZIP_MAGIC):
                return _load_zip(file, length, budget)
            # A map, unlike a file, allocates nothing for a length that it does not have.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                return _load_stream(mapped, head, budget)
    except MalformedError as error:
        raise CheckpointError(path, str(error)) from None
    except zipfile.BadZipFile as error:
        raise CheckpointError(path, f"it is a damaged archive, or a truncated one ({str(error)[:100]})") from None
    except (OSError, NotImplementedError, EOFError, ValueError, OverflowError) as error:
        raise CheckpointError(path, f"it is damaged ({str(error)[:100]})") from None


def _load_stream(mapped: mmap.mmap, head: bytes, budget: Budget) -> object:
    stream = cast(BinaryIO, mapped)
    if head.startswith(LEGACY_HEAD):
        return _load_legacy(stream, budget)
    if head.startswith(b"\x80"):
        return load(stream, vocabulary(budget, load_from_bytes=lambda data: _load_from_bytes(data, budget)))
    raise MalformedError("it is not a pickle, a torch archive or a safetensors file")


def _load_from_bytes(data: object, budget: Budget) -> object:
    """A storage that was pickled into bytes by torch.save (the inner stream is older than the zip format)."""
    if not isinstance(data, bytes):
        raise MalformedError("a storage is not stored as bytes")
    if data[:4] == ZIP_MAGIC:
        return _load_zip(io.BytesIO(data), len(data), budget)
    if data[: len(LEGACY_HEAD)] != LEGACY_HEAD:
        raise MalformedError("a storage inside it is not a torch stream")
    return _load_legacy(io.BytesIO(data), budget, memoryview(data))


def _element_size(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def _load_legacy(stream: BinaryIO, budget: Budget, whole: memoryview | None = None) -> object:
    """torch.save before version 1.6: five pickles (magic, protocol, system, object, keys), then the raw storages.

    ``whole`` is the stream's content where it is in memory already, so that storages need no copies of it.
    """
    storages: dict[str, tuple[Storage, int]] = {}

    def persistent(identity: object) -> object:
        kind, key, count = _storage_id(identity)
        if key not in storages:
            storages[key] = (Storage(b"", storage_dtype(kind)), count)
        return storages[key][0]

    plain = vocabulary(budget)
    if load(stream, plain) != LEGACY_MAGIC or load(stream, plain) != LEGACY_PROTOCOL:
        raise MalformedError("it is not a torch stream of a known version")
    system = load(stream, plain)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise MalformedError("it was written on a big-endian machine, which is not supported")
    content = load(stream, vocabulary(budget, persistent))
    keys = load(stream, plain)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise MalformedError("its list of storages is damaged")
    for key in keys:
        _read_legacy_storage(stream, whole, *storages.get(key, (None, 0)))
    return content


def _read_legacy_storage(stream: BinaryIO, whole: memoryview | None, storage: Storage | None, claimed: int) -> None:
    if storage is None:
        raise MalformedError("its list of storages names one that is not used")
    count = int.from_bytes(stream.read(8), "little")
    size = count * _element_size(storage.dtype)
    if count != claimed:
        raise MalformedError("a storage has another length than announced")
    start = stream.tell()
    storage.data = stream.read(size) if whole is None else whole[start : start + size]
    stream.seek(start + len(storage.data))
    if len(storage.data) != size:
        raise MalformedError(f"it ends in the middle of a tensor (it claims {size} bytes)")


def _storage_id(identity: object) -> tuple[object, str, int]:
    """("storage", class, key, location, number of elements[, view]) -> class, key, number of elements."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise MalformedError("a tensor's storage is not described as one")
    _, kind, key, _, count = identity[:5]
    if not isinstance(key, str) or type(count) is not int or count < 0:
        raise MalformedError("a tensor's storage is not described as one")
    if len(identity) == 6 and identity[5] is not None:
        raise MalformedError("a tensor's storage is a view of another one, which is not supported")
    return kind, key, count


def _load_zip(stream: BinaryIO, length: int, budget: Budget) -> object:
    """torch.save since version 1.6: NAME/data.pkl and the storages NAME/data/KEY, stored without compression."""
    with zipfile.ZipFile(stream) as archive:
        entries = {info.filename: info for info in _checked_entries(archive, length)}
        pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise MalformedError("it is a zip archive but not one written by torch.save")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
            raise MalformedError("it was written on a big-endian machine, which is not supported")
        storages: dict[str, Storage] = {}

        def persistent(identity: object) -> object:
            kind, key, count = _storage_id(identity)
            if key not in storages:
                storages[key] = _read_entry(archive, entries, f"{folder}data/{key}", storage_dtype(kind), count)
            return storages[key]

        return load(io.BytesIO(archive.read(pickles[0])), vocabulary(budget, persistent))


def _checked_entries(archive: zipfile.ZipFile, length: int) -> list[zipfile.ZipInfo]:
    """The archive's entries, none compressed and together no larger than the archive: no zip bombs."""
    infos = archive.infolist()
    if len(infos) > MAX_ZIP_ENTRIES:
        raise MalformedError("it is a zip archive with more entries than any model needs")
    if any(info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size for info in infos):
        raise MalformedError("it is a compressed zip archive, which torch.save never writes")
    if sum(info.file_size for info in infos) > length:
        raise MalformedError("it is a zip archive that claims more data than it has")
    return infos


def _read_entry(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str, dtype: str, count: int
) -> Storage:
    size = count * _element_size(dtype)
    if name not in entries or entries[name].file_size != size:
        raise MalformedError(f"its storage {name[-40:]!r} is missing or of another size than announced")
    return Storage(archive.read(name), dtype)
