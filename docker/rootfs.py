"""Collect what a Python program needs to run, and nothing else, as the root of an image without a shell.

Usage (in an image's build stage): rootfs.py OUT PACKAGES [--enclave]

OUT gets the interpreter, its standard library, the installed PACKAGES and every shared library that any of
them is linked against, with the accounts' files. Raises SystemExit when a library is missing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

INTERPRETER = Path("/usr/bin/python3.11")
LIBRARY = Path("/usr/lib/python3.11")
PACKAGES = Path("/usr/local/lib/python3.11/dist-packages")
LOADER = Path("/lib64/ld-linux-x86-64.so.2")
USER = 10001
PLACES = (
    ("run/proofward", 0o700, USER),
    ("var/lib/proofward", 0o700, USER),
    ("models", 0o755, USER),
    ("etc/proofward", 0o755, 0),
    ("tmp", 0o1777, 0),
    ("proc", 0o555, 0),
    ("sys", 0o555, 0),
    ("dev", 0o755, 0),
)
"""Where an engine mounts: a new volume takes owner and mode from here."""
NEVER = [
    *("ensurepip", "idlelib", "lib2to3", "pydoc_data", "tkinter", "turtledemo", "turtle.py", "test", "venv"),
    *("lib-dynload/_tkinter*", "lib-dynload/_curses*", "lib-dynload/_dbm*", "lib-dynload/_gdbm*"),
    *("lib-dynload/readline*", "lib-dynload/nis*", "lib-dynload/_test*", "lib-dynload/_xxtest*"),
    *("lib-dynload/ossaudiodev*", "lib-dynload/xxlimited*", "config-3.11-*", "sitecustomize.py"),
    *("EXTERNALLY-MANAGED", "__pycache__"),
]
"""No program here edits, installs, draws or documents."""
ENCLAVES = (
    *("__init__.py", "check.py", "checkout.py", "errors.py", "files.py", "processes.py", "terminal.py"),
    *("protocol", "zkml", "py.typed"),
)
"""What the enclave imports of the library: proofward_enclave/measure.py lists it as OURS."""
ENCLAVE_NEVER = [
    *("curses", "dbm", "sqlite3", "xmlrpc", "wsgiref", "distutils", "ftplib.py", "lib-dynload/_sqlite3*"),
]


def main(out: str, packages: str, *options: str) -> int:
    """Write the root."""
    root = Path(out)
    enclave = "--enclave" in options
    for path in (INTERPRETER, LIBRARY):
        copy(path, root)
    if Path(packages) != root / PACKAGES.relative_to("/"):
        shutil.copytree(packages, root / PACKAGES.relative_to("/"), symlinks=True)
    for pattern in NEVER + (ENCLAVE_NEVER if enclave else []):
        for path in sorted((root / LIBRARY.relative_to("/")).glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    ours = root / PACKAGES.relative_to("/") / "proofward"
    if enclave:
        for path in sorted(ours.iterdir()):
            if path.name not in ENCLAVES:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    for cache in sorted(root.rglob("__pycache__")):
        shutil.rmtree(cache)
    for path in sorted(libraries(root)):
        copy(path, root)
    etc = root / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "passwd").write_text(f"proofward:x:{USER}:{USER}::/var/lib/proofward:/nonexistent\n")
    (etc / "group").write_text(f"proofward:x:{USER}:\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists() and not enclave:
        copy(certificates, root)
    for place, mode, owner in PLACES:
        folder = root / place
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        os.chown(folder, owner, owner)
    return 0


def copy(path: Path, root: Path) -> None:
    """Copy a file, or a folder, to where it is; a link as the file that it leads to."""
    target = root / path.relative_to("/")
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, ignore_dangling_symlinks=True)
    else:
        shutil.copy2(path, target)


def libraries(root: Path) -> Iterator[Path]:
    """Every shared library outside the root that a program in it is linked against."""
    yield LOADER
    for path in sorted(root.rglob("*")):
        if not path.is_file() or not (
            path.suffix == ".so" or ".so." in path.name or os.access(path, os.X_OK)
        ):
            continue
        with path.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        told = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
        for line in told.splitlines():
            if "not found" in line:
                sys.exit(f"{path}: {line.strip()}")
            found = re.search(r"=> (/\S+)", line)
            if found and not Path(found[1]).is_relative_to(root):
                yield Path(found[1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
