"""Make or mend the virtual environment .venv beside this project, and install the project into it.

    python3 tools/environment.py train        the package and what `make train` needs
    python3 tools/environment.py dev torch    several extras of pyproject.toml
    python3 tools/environment.py --bench      what `make bench` needs, in .venv-bench

The engines that are compared with (the extra `bench`) get an environment of their own, as none of
them may change what the package runs with, and come one by one: whichever cannot be installed here
is named and left out.

Nothing happens when .venv is sound, belongs to this folder, holds these extras and neither
pyproject.toml nor setup.py has changed since, nor csrc if an extension was built from it. Only the
standard library is used, and Windows works too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "installed.json"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
BENCH = "--bench"
PEERS = "peers.json"  # in .venv-bench: which were asked for, and which could not be installed


def use(folder: str) -> None:
    """Work on the environment in another folder of the project."""
    global VENV, STAMP, PYTHON
    python = PYTHON.relative_to(VENV)
    VENV = ROOT / folder
    STAMP, PYTHON = VENV / STAMP.name, VENV / python


def wanted(extras: set[str]) -> dict[str, Any]:
    """What the stamp of a fresh environment says."""
    digest = hashlib.sha256()
    for path in (ROOT / "pyproject.toml", ROOT / "setup.py", *compiled_sources()):
        digest.update(path.read_bytes())
    return {
        "folder": str(ROOT),
        "project": digest.hexdigest(),
        "build": os.environ.get("MMB_BUILD", ""),
        "extras": sorted(extras),
    }


def compiled_sources() -> list[Path]:
    """The files of csrc, if an extension lies in the package that was built from them."""
    package = ROOT / "tinygrad_mmb"
    if not [*package.glob("_*.so"), *package.glob("_*.pyd")]:
        return []
    return sorted(path for path in (ROOT / "csrc").rglob("*") if path.is_file())


def sound() -> bool:
    """Whether .venv was made for this very folder, by a Python that is still there, and has pip."""
    probe = "import sys, pip; print(sys.prefix)"
    command = [PYTHON, "-X", "utf8", "-I", "-c", probe]
    try:
        answer = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    except (OSError, subprocess.CalledProcessError):
        return False
    return Path(answer.stdout.strip()).resolve() == VENV.resolve()


def installed() -> dict[str, Any]:
    """What the stamp says; nothing if the installation was never finished."""
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def pip(*arguments: str) -> None:
    """Run pip inside the environment; its own message is the best there is when it fails."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise SystemExit(f"tools/environment.py: this failed: {' '.join(command)}")


def make_environment() -> None:
    """A new .venv; one that another folder or a Python now gone has made is thrown away."""
    if VENV.exists():
        shutil.rmtree(VENV)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False)
    if made.returncode:
        raise SystemExit(
            "tools/environment.py: python -m venv failed. On Debian and Ubuntu: "
            "apt install python3-venv. Or name another Python: make PYTHON=python3.12 ..."
        )


def peers() -> list[str]:
    """The requirements of the extra `bench`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["project"]["optional-dependencies"]["bench"])


def install_peers() -> None:
    """One after the other; those that failed are named, now and whenever this is asked for."""
    stamp = VENV / PEERS
    try:
        found = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    if found.get("asked") != peers():
        failed = []
        for requirement in peers():
            try:
                pip("install", "--quiet", requirement)
            except SystemExit:
                failed.append(requirement)
        found = {"asked": peers(), "failed": failed}
        stamp.write_text(json.dumps(found, indent=2), encoding="utf-8")
    for requirement in found["failed"]:
        print(
            f"left out, as it cannot be installed here: {requirement}. To try again, remove "
            f"{stamp.relative_to(ROOT)}"
        )


def main() -> None:
    """Do what the command line asks for."""
    if sys.version_info < OLDEST:
        raise SystemExit(
            f"tools/environment.py: this is Python {sys.version.split()[0]}, but tinygrad_mmb "
            "needs 3.11 or newer. Name one: make PYTHON=python3.12 ..."
        )
    if sys.argv[1:] == [BENCH]:
        use(".venv-bench")
        install({"train"})  # its pictures need what those of a training need
        install_peers()
    else:
        install(set(sys.argv[1:]))


def install(extras: set[str]) -> None:
    """Compare the stamp with what is wanted; do what is missing."""
    if not sound():
        make_environment()
    stamp = installed()
    have = set(stamp.get("extras", ()))
    if stamp and stamp == wanted(have) and extras <= have:
        return
    STAMP.unlink(missing_ok=True)  # an interrupted installation leaves no stamp
    extras |= have
    names = f"[{','.join(sorted(extras))}]" if extras else ""
    pip("install", "--quiet", "--editable", f".{names}")
    STAMP.write_text(json.dumps(wanted(extras), indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
