"""Make `.venv` with what the project needs and go on inside it. Needs nothing but a Python 3.11 or newer."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
TORCH = "torch==2.13.0"
# On x86-64 Linux the ordinary index's torch brings gigabytes of CUDA; PyTorch's own CPU index does not.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def enter(extras: str) -> None:
    """Return inside `.venv` with ``-e .[extras]`` installed; from outside, make it and start the same script again there."""
    if sys.version_info < (3, 11):  # noqa: UP036 -- the script is started by whatever python3 there is
        sys.exit(f"qnn-deploy needs Python 3.11 or newer; this is {platform.python_version()}")
    python = VENV / "bin" / "python"
    stamp = VENV / f"installed-{extras.replace(',', '-')}.txt"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    if not python.exists():
        _create()
    if not stamp.exists() or stamp.read_text() != wanted:
        _install(python, extras)
        stamp.write_text(wanted)
    if Path(sys.prefix).resolve() != VENV.resolve():
        sys.stdout.flush()
        os.execv(python, [str(python), *sys.argv])


def _create() -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(f"this Python cannot make virtual environments; on Debian and Ubuntu: apt install python{version}-venv")
    print("making .venv", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)


def _install(python: Path, extras: str) -> None:
    print(f"installing qnn-deploy[{extras}] into .venv (the first time a few minutes)", flush=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    has_torch = subprocess.run([str(python), "-c", "import torch"], capture_output=True).returncode == 0
    if not has_torch and sys.platform == "linux" and platform.machine() == "x86_64":
        # Its dependencies come with the rest; an index that cannot be reached must not cost minutes.
        quick = ["--no-deps", "--index-url", CPU_INDEX, "--retries", "0", "--timeout", "10"]
        if subprocess.run([*pip, *quick, TORCH], capture_output=True).returncode != 0:
            print("PyTorch's CPU index was not reached; taking torch from the ordinary index", flush=True)
            subprocess.run([*pip, TORCH], check=True)
    if subprocess.run([*pip, "-e", f"{ROOT}[{extras}]"]).returncode != 0:
        sys.exit("pip failed, see above; run the command again once the cause is mended")
