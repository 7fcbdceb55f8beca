"""Locks of everything that is installed, and the list of it with licences.

    python -m tools.dependencies lock [--wheels FOLDER]   writes the two locks; needs uv
    python -m tools.dependencies licences [--also FOLDER] writes docs/dependencies.md

``lock`` keeps the versions that are locked as far as ``pyproject.toml`` allows; a package whose
line is deleted first gets its newest version. The build of PyTorch that the common index has for
Linux takes 3 GB of libraries for GPUs with it, so the default lock has the hashes of builds for the
CPU alone: those for macOS, and those for Linux that lie in ``--wheels``.

``--also`` is where packages for other systems lie, installed by ``pip install --target``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageMetadata, distributions
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name as plain

ROOT = Path(__file__).resolve().parents[1]
LOCK, CUDA, PAGE = "requirements.lock", "requirements-cuda.lock", "docs/dependencies.md"
EXTRAS = ("notebooks", "dev")
OLDEST_PYTHON = "3.11.5"
ONLY_CUDA = re.compile(r"(cuda|nvidia|triton)\b")
TORCH = "torch"

IN_FILES = {"axe-playwright-python": "MIT; axe in it: MPL-2.0"}
"""Licences of packages that tell them in their files alone."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14")

ABOUT = {
    LOCK: f"""\
# Exact versions and hashes of everything that `make` installs: the core and the extras
# {" and ".join(f'"{extra}"' for extra in EXTRAS)}, for Python from {OLDEST_PYTHON}
# on Linux (x86-64, arm64) and macOS (arm64).
# Refreshed by `python -m tools.dependencies lock`; see CONTRIBUTING.md.
#
# torch is taken in its builds for the CPU alone, and no other has its hash here:
""",
    CUDA: """\
# The same as requirements.lock, but with the build of torch that the common index has: on Linux
# for NVIDIA GPUs, with all it needs. `make TORCH=cuda` installs this one.
""",
}


class Pin(NamedTuple):
    """One package of a lock."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")]
        lines += [f"    --hash=sha256:{digest}" for digest in sorted(self.hashes)]
        return " \\\n".join(lines) + "\n"


def read_lock(text: str) -> list[Pin]:
    """The packages of a lock, in its order."""
    whole = re.sub(r" \\\n\s*", " ", text)
    pins = []
    for line in whole.splitlines():
        if not line or line.startswith("#"):
            continue
        found = re.fullmatch(
            r"([\w.-]+)==(\S+?)(?: ; (.*?))?((?: --hash=sha256:[0-9a-f]{64})*)", line
        )
        if found is None:
            raise ValueError(f"no line of a lock: {line!r}")
        name, version, marker, hashes = found.groups()
        pins.append(Pin(name, version, marker or "", tuple(re.findall(r"[0-9a-f]{64}", hashes))))
    return pins


def lock(wheels: Path | None) -> None:
    """Resolve for all systems and write both locks."""
    known = read_lock((ROOT / LOCK).read_text())
    with tempfile.TemporaryDirectory() as place:
        kept, project = Path(place, "kept.txt"), Path(place, "pyproject.toml")
        kept.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in known))
        text = (ROOT / "pyproject.toml").read_text()
        project.write_text(re.sub(r'(requires-python = ">=)[^"]+', rf"\g<1>{OLDEST_PYTHON}", text))
        command = ["uv", "pip", "compile", "--universal", "--python-version", OLDEST_PYTHON]
        command += ["--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url"]
        command += [word for extra in EXTRAS for word in ("--extra", extra)]
        command += ["-c", str(kept), str(project)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
    pins = read_lock(done.stdout)
    version = next(pin.version for pin in pins if pin.name == TORCH)
    write(pins, builds_of(version, wheels))


def write(pins: Sequence[Pin], builds: Mapping[str, str]) -> None:
    """Write both locks.

    Parameters
    ----------
    pins : sequence of Pin
    builds : mapping
        Name of each build of PyTorch for the CPU alone to its hash.
    """
    pins = sorted(pins, key=lambda pin: plain(pin.name))
    (ROOT / CUDA).write_text(ABOUT[CUDA] + "".join(map(str, pins)))
    text = ABOUT[LOCK] + "".join(f"#   {builds[name]}  {name}\n" for name in sorted(builds))
    for pin in pins:
        if not ONLY_CUDA.match(pin.name):
            own = tuple(builds.values()) if pin.name == TORCH else pin.hashes
            text += str(pin._replace(hashes=own))
    (ROOT / LOCK).write_text(text)


def builds_of(version: str, wheels: Path | None) -> dict[str, str]:
    """Files of builds of PyTorch for the CPU alone, with their hashes; what was known stays."""
    lines = re.findall(r"^#   ([0-9a-f]{64})  (\S+)$", (ROOT / LOCK).read_text(), re.MULTILINE)
    start = f"{TORCH}-{version}+cpu-"
    found = {name: digest for digest, name in lines if name.startswith(start)}
    for path in wheels.glob(f"{start}*.whl") if wheels else []:
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    for python in PYTHONS:
        command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--no-deps"]
        command += ["--ignore-installed", "--only-binary=:all:", "--target", "none"]
        command += ["--platform", "macosx_14_0_arm64", "--python-version", python]
        command += ["--report", "-", f"{TORCH}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        about = json.loads(done.stdout)["install"][0]["download_info"]
        name = about["url"].rpartition("/")[2]
        found[name] = about["archive_info"]["hashes"]["sha256"]
    return found


def page(also: Path | None = None) -> str:
    """The list of what is locked, with the licences that packages name, as Markdown."""
    places = [*sys.path, *([str(also)] if also else [])]
    found = {plain(dist.name): dist.metadata for dist in distributions(path=places)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {extra: project["optional-dependencies"][extra] for extra in EXTRAS}
    text = (
        "# Dependencies and their licences\n\n"
        "Generated by `python -m tools.dependencies licences` from\n"
        f"[{LOCK}](../{LOCK}), which has a hash for each file, and from what\n"
        "the installed packages say of themselves.\n\n"
        "Asked for by `pyproject.toml`; the rest follows from these.\n\n"
    )
    for title, lines in {"core": project["dependencies"], **asked}.items():
        names = sorted(re.split(r"[\[>=<~! ]", line, maxsplit=1)[0] for line in lines)
        text += f"- {title}: {', '.join(names)}\n"
    text += "\n| package | version | licence | only where |\n|---|---|---|---|\n"
    for pin in read_lock((ROOT / LOCK).read_text()):
        where = f"`{pin.marker}`" if pin.marker else ""
        text += (
            f"| {pin.name} | {pin.version} | {licence_of(found.get(plain(pin.name)))} | {where} |\n"
        )
    text += (
        f"\nThe build of torch for NVIDIA GPUs needs what [{CUDA}](../{CUDA}) has besides.\n"
        "Packages there whose names begin with cuda or nvidia come under NVIDIA's own terms.\n\n"
        "| package | version |\n|---|---|\n"
    )
    pins = [pin for pin in read_lock((ROOT / CUDA).read_text()) if ONLY_CUDA.match(pin.name)]
    return text + "".join(f"| {pin.name} | {pin.version} |\n" for pin in pins)


def licence_of(about: PackageMetadata | None) -> str:
    """What a package says; "not installed here" of one for other systems."""
    if about is None:
        return "not installed here"
    said = about.get("License-Expression")
    kinds = [
        c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if "License ::" in c
    ]
    if not said:
        first = (about.get("License") or "").strip().partition("\n")[0].strip()
        said = ", ".join(kinds) or (first if len(first) < 60 else "")
        said = said or IN_FILES.get(plain(about["Name"]), "see its files")
    return said.replace("|", "/")


def main(words: Sequence[str] | None = None) -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("lock", "licences"))
    parser.add_argument("--wheels", type=Path, help="folder with CPU builds of torch")
    parser.add_argument("--also", type=Path, help="folder with packages for other systems")
    args = parser.parse_args(words)
    if args.command == "lock":
        lock(args.wheels)
    else:
        (ROOT / PAGE).write_text(page(args.also), encoding="utf-8")
    sys.stderr.write("done\n")


if __name__ == "__main__":
    main()
