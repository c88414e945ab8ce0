"""Put the GIMP plug-in where GIMP 3 looks for it, and take it away again.

The installed folder is ``gimp_plugin/gan-edit`` of the project, a copy of the protocol package beside it (GIMP's Python
is not the engine's) and ``gan-edit.json``, which tells the plug-in how to run the engine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs

import gan_edit_protocol
from gan_edit_protocol import connection
from gan_edit_protocol.errors import GanEditError

NAME = "gan-edit"
PLUGINS = "plug-ins"
OWN_PROFILE = "GIMP3_DIRECTORY"
"""The environment variable by which GIMP 3 takes any folder for its profile."""
CONFIG_FILE = "gan-edit.json"
STABLE_PROFILES = ("3.0", "3.2")
"""GIMP's stable series so far; development versions (3.1) keep their settings under their own number."""

_PROFILE = re.compile(r"3\.\d+\Z")
_VERSION = re.compile(r"v?\d+(\.\d+)*\Z")
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc")


def install(
    profiles: list[Path] | None = None,
    program: list[str] | None = None,
    connection_file: Path | None = None,
    log_folder: Path | None = None,
) -> list[str]:
    """Install the plug-in into each GIMP 3 profile folder; returns what was done, one sentence each.

    ``profiles``: such as ``~/.config/GIMP/3.0``; by default those that exist, else those that GIMP will make.
    ``program``: how to run ``gan-edit``, by default this environment's. An older copy is replaced in one step.
    Raises :class:`GanEditError` when a folder cannot be written, or is one where GIMP 3 never looks.
    """
    folders = _checked(profiles) if profiles is not None else (existing_profiles() or expected_profiles())
    log_folder = log_folder or Path(platformdirs.user_log_dir(NAME, appauthor=False))
    config: dict[str, object] = {
        "program": program or engine_program(),
        "connection_file": str((connection_file or connection.default_path()).absolute()),
        "engine_log": str((log_folder / "engine.log").absolute()),
        "plugin_log": str((log_folder / "plugin.log").absolute()),
    }
    done = [sentence for folder in folders for sentence in _install_into(folder, config)]
    return [*done, "Restart GIMP if it is open; the entries are in the menu Filters > GAN Edit."]


def uninstall(profiles: list[Path] | None = None) -> list[str]:
    """Remove the plug-in from each GIMP 3 profile folder; returns what was done, one sentence each.

    Raises :class:`GanEditError` as :func:`install`.
    """
    folders = _checked(profiles) if profiles is not None else existing_profiles()
    installed = [folder / PLUGINS / NAME for folder in folders]
    present = [target for target in installed if target.is_symlink() or (target / f"{NAME}.py").exists()]
    for target in present:
        try:
            _remove(target)
        except OSError as error:
            raise _cannot_write(target, error) from None
    return [f"Removed {target}." for target in present] or ["The plug-in is not installed in any GIMP 3 profile."]


def _checked(given: list[Path]) -> list[Path]:
    """The profile folders that are meant, each once; GanEditError when GIMP 3 never looks in one."""
    return list(dict.fromkeys(profile_of(folder) for folder in given))


def profile_of(folder: Path) -> Path:
    """The profile folder that ``folder`` is or lies in as its plug-ins; GanEditError when it is that of no GIMP 3."""
    folder = folder.expanduser().absolute()
    if folder.name == NAME and folder.parent.name == PLUGINS:
        folder = folder.parent
    if folder.name == PLUGINS:
        folder = folder.parent
    try:
        inside = sorted(path.name for path in folder.iterdir() if _PROFILE.match(path.name))
    except OSError:  # it is not there yet, or whoever writes there will say what is wrong
        inside = []
    if inside or folder.name == "GIMP":
        example = folder / (inside[-1] if inside else STABLE_PROFILES[0])
        raise GanEditError(
            "no_profile", f"{folder} holds GIMP's profiles and is none.", f"Name one, such as {example}."
        )
    if _VERSION.match(folder.name) and not _PROFILE.match(folder.name):
        raise GanEditError(
            "no_profile",
            f"GIMP 3 never looks in {folder}, which has the name of another version's profile.",
            f"Name one such as {folder.with_name(STABLE_PROFILES[0])}; gan-edit install-plugin alone finds them.",
        )
    return folder


def existing_profiles() -> list[Path]:
    """The profile folders of every GIMP 3 that has run here: native, Flatpak, Snap; Windows; macOS."""
    own = os.environ.get(OWN_PROFILE)
    if own:
        return [Path(own)]
    found = [
        folder
        for root in profile_roots(sys.platform, Path.home(), os.environ)
        if root.is_dir()
        for folder in sorted(root.iterdir())
        if folder.is_dir() and _PROFILE.match(folder.name)
    ]
    return list(dict.fromkeys(folder.resolve() for folder in found))


def expected_profiles() -> list[Path]:
    """The folders that GIMP will make when it first runs: that of the installed GIMP, else of every stable series."""
    root = profile_roots(sys.platform, Path.home(), os.environ)[0]
    version = installed_version()
    return [root / name for name in ([version] if version else STABLE_PROFILES)]


def profile_roots(platform: str, home: Path, environment: Mapping[str, str]) -> list[Path]:
    """Where profile folders (``3.0``, ``3.2``) lie, the native GIMP's first. ``platform`` as in ``sys.platform``."""
    if platform == "win32":
        return [Path(environment.get("APPDATA", home / "AppData" / "Roaming")) / "GIMP"]
    if platform == "darwin":
        return [home / "Library" / "Application Support" / "GIMP"]
    return [
        Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "GIMP",
        home / ".config" / "GIMP",
        home / ".var" / "app" / "org.gimp.GIMP" / "config" / "GIMP",
        home / "snap" / "gimp" / "current" / ".config" / "GIMP",
    ]


def installed_version() -> str | None:
    """The profile name ("3.0") of the GIMP 3 on the PATH, or None."""
    for name in ("gimp-console", "gimp", "gimp-console-3", "gimp-3"):
        try:
            answer = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = profile_of_version(answer.stdout)
        if version:
            return version
    return None


def profile_of_version(text: str) -> str | None:
    """The profile name for what ``gimp --version`` prints; None unless it is GIMP 3."""
    match = re.search(r"\b(3)\.(\d+)\.\d+", text)
    return f"{match[1]}.{match[2]}" if match else None


def engine_program() -> list[str]:
    """The words that run ``gan-edit`` of this environment from anywhere."""
    script = Path(sysconfig.get_path("scripts")) / ("gan-edit.exe" if sys.platform == "win32" else "gan-edit")
    return [str(script)] if script.exists() else [sys.executable, "-m", "gan_edit_engine.cli"]


def plugin_source() -> Path:
    """The plug-in's folder: package data in a wheel, ``gimp_plugin`` beside ``engine`` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "gimp_plugin" / NAME, package.parents[1] / "gimp_plugin" / NAME):
        if (folder / f"{NAME}.py").exists():
            return folder
    raise GanEditError(
        "bad_installation", "This installation of GAN Edit came without its GIMP plug-in.", "Install GAN Edit again."
    )


def _install_into(profile: Path, config: dict[str, object]) -> list[str]:
    target = profile / PLUGINS / NAME
    replaced = target.exists()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Built beside plug-ins, not in it: a GIMP that starts meanwhile finds the old copy or the new one.
        with tempfile.TemporaryDirectory(dir=profile, prefix=f".{NAME}-") as temporary:
            fresh = Path(temporary) / NAME
            _build(fresh, config)
            if replaced or target.is_symlink():
                target.rename(Path(temporary) / "replaced")
            fresh.rename(target)
    except OSError as error:
        raise _cannot_write(target, error) from None
    done = f"{'Replaced' if replaced else 'Installed'} the plug-in in {target}."
    if _PROFILE.match(profile.name) or os.environ.get(OWN_PROFILE) == str(profile):
        return [done]
    return [done, f"GIMP looks there only when {OWN_PROFILE} is set to {profile}."]


def _build(folder: Path, config: dict[str, object]) -> None:
    # copyfile gives new time stamps, by which GIMP notices that a plug-in has changed.
    shutil.copytree(plugin_source(), folder, ignore=_NOT_COPIED, copy_function=shutil.copyfile)
    protocol = Path(gan_edit_protocol.__file__).resolve().parent
    shutil.copytree(protocol, folder / protocol.name, ignore=_NOT_COPIED, copy_function=shutil.copyfile)
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / f"{NAME}.py").chmod(0o755)


def _remove(target: Path) -> None:
    if target.is_symlink():
        target.unlink()
    else:
        shutil.rmtree(target)


def _cannot_write(target: Path, error: OSError) -> GanEditError:
    return GanEditError(
        "cannot_install", f"{target} cannot be written ({error.strerror}).", "Check who owns the folder and try again."
    )
