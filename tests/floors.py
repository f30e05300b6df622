"""The oldest versions that the requirements allow, tried: `python -m tests.floors`.

    requirements.txt, tests/requirements.txt ──floors──▶ floors.txt ──pip install -c──▶ an environment of its own
        ──▶ the quick tests

What is allowed is what is tested: the newest versions by every ordinary run of the tests, the oldest by this command.
It takes some minutes, and 2 GB of disk for as long as it runs. Floors that do not hold are raised in the requirements.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = ROOT / "tests" / "floors.txt"
REQUIREMENTS = (ROOT / "requirements.txt", ROOT / "tests" / "requirements.txt")
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(?:==|>=)(?P<floor>[0-9][0-9.]*)")
# What takes minutes by itself, or a browser, says little about versions.
SLOW = ("e2e", "test_training.py", "test_pretrain.py", "test_finetune.py", "test_study.py", "test_contracts.py")


def floors() -> list[str]:
    """A constraint for every requirement: the oldest version that its line allows."""
    lines = [line.split("#")[0].strip() for path in REQUIREMENTS for line in path.read_text().splitlines()]
    found = [REQUIREMENT.match(line) for line in lines if line and not line.startswith("-r")]
    return [f"{each['name']}=={each['floor']}" for each in found]


def main(words: list[str]) -> int:
    """Installs the floors into a new environment and runs the quick tests there; `words` go to pytest."""
    FLOORS.write_text("\n".join(floors()) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        given = [word for path in REQUIREMENTS for word in ("-r", str(path))]
        subprocess.run([python, "-m", "pip", "install", "-q", "-c", str(FLOORS), *given], check=True, cwd=ROOT)
        left_out = [f"--ignore=tests/{name}" for name in SLOW]
        return subprocess.run([python, "-m", "pytest", *left_out, *words], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
