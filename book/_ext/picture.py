"""Draw the README's picture: the one that the front page of the book computes.

Run by `make picture`, in the repository's root.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from stale import code

PAGE = Path("book/intro.md")
PICTURE = Path("book/_static/theorem.svg")


def main() -> None:
    cells: dict[str, Any] = {}
    exec(compile(code(PAGE.read_text(encoding="utf8")), PAGE, "exec"), cells)
    with mpl.rc_context({"svg.hashsalt": "cdlnmf_lit", "svg.fonttype": "path"}):
        cells["figure"].savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
