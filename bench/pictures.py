"""The pictures of pages in docs/: a run's page of episodes, as a browser shows it.

    python -m bench.pictures runs/laptop docs/episodes.png             # from its top
    python -m bench.pictures runs/laptop docs/heldout.png --from heldout

The page is made anew from the run's files; nothing is written into its folder. Exit code 2 where no browser is found.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench import browser
from bench.live_page import serve
from common.flags import flag_count, flag_path

HEIGHT = 1300
"""Of a picture, pixels."""
SECTIONS = ("heldout", "pairs", "tasks")


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m bench.pictures`."""
    parser = argparse.ArgumentParser(prog="python -m bench.pictures", description=__doc__.split("\n")[0])
    parser.add_argument("run", type=flag_path, help="a run's folder")
    parser.add_argument("out", type=flag_path, help="the picture, a PNG")
    parser.add_argument("--from", dest="section", choices=SECTIONS, help="leave out what is above this section")
    parser.add_argument("--height", type=flag_count, default=HEIGHT, help=f"pixels (default: {HEIGHT})")
    given = parser.parse_args(arguments)
    path = browser.find()
    if path is None:
        print("pictures: no Chromium on the path, and MEDSERL_BROWSER names none", file=sys.stderr)
        return 2
    try:
        server, page = serve(given.run)
    except ValueError as error:
        print(f"pictures: {error}", file=sys.stderr)
        return 2
    try:
        with browser.browser(path) as tab:
            tab.open(f"{page}episodes.html")
            if given.section:
                hidden = [name for name in SECTIONS if name != given.section]
                tab.ask("document.querySelector('header').hidden = true")
                for name in hidden:
                    tab.ask(f"document.querySelector('#{name}')?.remove()")
            tab.picture(given.out, given.height)
    finally:
        server.terminate()
        server.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
