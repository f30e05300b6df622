"""Writes the sample pictures that are shipped: `python -m vitdemo.samples [FOLDER]`, half a minute."""

import sys
from pathlib import Path

from vitdemo.samples.files import FOLDER, write


def main(arguments: list[str]) -> None:
    for entry in write(Path(arguments[0]) if arguments else FOLDER):
        print(f"{entry.file.name}: {', '.join(entry.flowers)}, seed {entry.seed}")


if __name__ == "__main__":
    main(sys.argv[1:])
