"""Files that try to execute something while they are read."""

from __future__ import annotations

import base64
from pathlib import Path

from attacks.build import (
    Builder,
    blob,
    call,
    dictionary,
    legacy_stream,
    name,
    number,
    persistent,
    shell,
    text,
    torch_zip,
    whole,
    writes,
)


def os_system(canary: Path) -> bytes:
    """The classic: REDUCE of os.system."""
    return whole(shell(canary))


def posix_system_in_a_snapshot(canary: Path) -> bytes:
    """The same under its real module name, deep inside what looks like a snapshot."""
    attack = call("posix", "system", text(f"touch {canary}"))
    return whole(dictionary({"G_ema": dictionary({"_modules": attack})}))


def builtins_eval(canary: Path) -> bytes:
    """builtins.eval of an expression."""
    return whole(call("builtins", "eval", text(f"open({str(canary)!r}, 'w')")))


def python_2_builtins(canary: Path) -> bytes:
    """The name that Python's own unpickler would translate to builtins."""
    return whole(call("__builtin__", "execfile", text(str(canary))))


def nested_reduce(canary: Path) -> bytes:
    """A function got by calling getattr on an import, so that no dangerous name is called directly."""
    module = call("importlib", "import_module", text("os"))
    function = call("builtins", "getattr", module, text("system"))
    return whole(function + b"(" + text(f"touch {canary}") + b"tR")


def dotted_attribute(canary: Path) -> bytes:
    """STACK_GLOBAL with an allowed module and a path through it: torch -> serialization -> os -> system."""
    target = text("torch") + text("serialization.os.system") + b"\x93"
    return whole(target + b"(" + text(f"touch {canary}") + b"tR")


def instance_opcode(canary: Path) -> bytes:
    """INST, which names and calls a class in one old instruction."""
    return b"\x80\x02(S'touch " + str(canary).encode() + b"'\nios\nsystem\n."


def object_opcode(canary: Path) -> bytes:
    """OBJ, which calls the class below its arguments."""
    return whole(b"(" + name("os", "system") + text(f"touch {canary}") + b"o")


def newobj_opcode(canary: Path) -> bytes:
    """NEWOBJ of a class whose construction does harm."""
    return whole(name("subprocess", "Popen") + b"(" + text(f"touch {canary}") + b"t\x81")


def extension_opcode(canary: Path) -> bytes:
    """EXT1, which looks a callable up in copyreg's registry."""
    return whole(b"\x82\x01(" + text(f"touch {canary}") + b"tR")


def setstate_of_a_class(canary: Path) -> bytes:
    """BUILD on a bare global, which would overwrite attributes of a class."""
    state = dictionary({"__setstate__": name("os", "system")})
    return whole(name("collections", "OrderedDict") + state + b"b")


def reduce_of_a_string(canary: Path) -> bytes:
    """REDUCE of something that is no global at all."""
    return whole(text("os.system") + b"(" + text(f"touch {canary}") + b"tR")


def copyreg_reconstructor(canary: Path) -> bytes:
    """copyreg._reconstructor, a generic way to make any object."""
    maker = name("subprocess", "Popen") + name("builtins", "object") + b"N"
    return whole(call("copyreg", "_reconstructor", maker))


def code_in_the_inner_stream(canary: Path) -> bytes:
    """_load_from_bytes, which upstream is torch.load of a whole pickle, with an attack inside."""
    inner = legacy_stream(shell(canary))
    return whole(dictionary({"G_ema": call("torch.storage", "_load_from_bytes", blob(inner))}))


def code_in_an_inner_zip(canary: Path) -> bytes:
    """The same with torch's zip format inside."""
    inner = torch_zip(shell(canary))
    return whole(dictionary({"G_ema": call("torch.storage", "_load_from_bytes", blob(inner))}))


def inner_bytes_within_inner_bytes(canary: Path) -> bytes:
    """_load_from_bytes inside of the bytes of another one."""
    deep = call("torch.storage", "_load_from_bytes", blob(legacy_stream(shell(canary))))
    return whole(call("torch.storage", "_load_from_bytes", blob(legacy_stream(deep))))


def code_in_a_torch_zip(canary: Path) -> bytes:
    """What `torch.load(weights_only=False)` would execute."""
    return torch_zip(dictionary({"g_ema": shell(canary)}))


def code_in_a_legacy_file(canary: Path) -> bytes:
    """The same in torch's older stream."""
    return legacy_stream(dictionary({"main.0.weight": shell(canary)}))


def code_in_the_key_list(canary: Path) -> bytes:
    """The older stream has five pickles; here the last one attacks."""
    return legacy_stream(b"}", keys=shell(canary))


def embedded_module_source(canary: Path) -> bytes:
    """A snapshot's embedded source, which upstream is executed to get the class."""
    source = f"open({str(canary)!r}, 'w').write('executed')"
    state = dictionary({"_parameters": b"}", "_buffers": b"}", "_modules": b"}"})
    return whole(dictionary({"G_ema": persistent("Generator", state, source)}))


def tensorflow_module_source(canary: Path) -> bytes:
    """The TensorFlow era's build_module_src."""
    source = f"open({str(canary)!r}, 'w').write('executed')"
    state = {"version": number(4), "build_module_src": text(source), "variables": b"]", "components": b"}"}
    network = name("dnnlib.tflib.network", "Network") + b")\x81" + dictionary(state) + b"b"
    return whole(b"(" + network * 3 + b"t")


def rebuild_hook(canary: Path) -> bytes:
    """An allowed call with a forbidden global as an argument."""
    return whole(call("torch._utils", "_rebuild_tensor_v2", name("os", "system"), text(f"touch {canary}")))


def torch_device_hook(canary: Path) -> bytes:
    """torch functions outside of the list, even harmless-looking ones, load libraries or files."""
    return whole(call("torch.ops", "load_library", text(str(canary))))


def numpy_object_array(canary: Path) -> bytes:
    """A numpy array of Python objects, which numpy unpickles with the full unpickler."""
    dtype = call("numpy", "dtype", text("O8"), b"\x89", b"\x88")
    return whole(dictionary({"G_ema": dtype, "x": text(str(canary))}))


def numpy_frombuffer(canary: Path) -> bytes:
    """numpy's loader of files."""
    return whole(call("numpy", "load", text(str(canary)), b"N", b"\x88"))


def codec_that_runs(canary: Path) -> bytes:
    """_codecs.encode with a codec other than the one that stores bytes."""
    return whole(call("_codecs", "encode", text(str(canary)), text("unicode_escape")))


def base64_then_loads(canary: Path) -> bytes:
    """A pickle within a pickle, handed to pickle.loads."""
    inner = base64.b64encode(whole(shell(canary)))
    return whole(call("pickle", "loads", call("base64", "b64decode", blob(inner))))


def dill_code_object(canary: Path) -> bytes:
    """dill stores functions as code objects (StyleGAN-XL's files are written by dill)."""
    return whole(call("dill._dill", "_create_function", call("dill._dill", "_create_code"), text(str(canary))))


CODE_ATTACKS: list[Builder] = [
    writes(body)
    for body in (
        os_system,
        posix_system_in_a_snapshot,
        builtins_eval,
        python_2_builtins,
        nested_reduce,
        dotted_attribute,
        instance_opcode,
        object_opcode,
        newobj_opcode,
        extension_opcode,
        setstate_of_a_class,
        reduce_of_a_string,
        copyreg_reconstructor,
        code_in_the_inner_stream,
        code_in_an_inner_zip,
        inner_bytes_within_inner_bytes,
        code_in_a_torch_zip,
        code_in_a_legacy_file,
        code_in_the_key_list,
        embedded_module_source,
        tensorflow_module_source,
        rebuild_hook,
        torch_device_hook,
        numpy_object_array,
        numpy_frombuffer,
        codec_that_runs,
        base64_then_loads,
        dill_code_object,
    )
]
