"""The script `medserl`: `python -m deploy` of the tree around the working directory, else of the tree of this file.

`make setup` installs this module alone. Everything else is imported from the tree, so that `medserl` runs what was
edited, in a second checkout too, and in the copy of the tree that `ray job submit --working-dir .` makes.
"""

from __future__ import annotations

import sys
from pathlib import Path


def tree(folder: Path) -> Path:
    """The checkout that `folder` is in, else the one where this file is."""
    here = (there for there in (folder, *folder.parents) if (there / "deploy" / "__main__.py").is_file())
    return next(here, Path(__file__).resolve().parent)


def main() -> int:
    """Run the command line. Modules are found in the working directory too. Returns the exit code."""
    sys.path[:0] = [str(tree(Path.cwd())), str(Path.cwd())]
    from deploy.__main__ import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
