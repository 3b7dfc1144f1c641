"""Fill in the reference of the package: its modules as they are, each folded, and an index.

The line ``:modules theory:`` of a page becomes the modules of that room, the line ``:index:`` the
list of all rooms and modules. A module that a reader may import from is listed when it has a public
function or class; whoever writes one has nothing to add here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from paper_numbers import paper_roles

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PACKAGE = "cdlnmf_lit"
ROOMS = ("theory", "methods", "recordings", "experiments", "presentation")
HELPERS = {"cdlnmf_lit.theory.arguments", "cdlnmf_lit.theory.blocks"}
"""Modules for the package's own use."""
LEFT_OUT = {"cdlnmf_lit.methods.pieces": "map", "cdlnmf_lit.presentation.plotting": "Card"}
"""Names that are not described: one of the standard library's, and one of Matplotlib's."""
MODULES = re.compile(r"^:modules (\w+):$", re.MULTILINE)
INDEX = re.compile(r"^:index:$", re.MULTILINE)
FOLDED = """\
:::::{{dropdown}} `{name}`: {summary}
```{{eval-rst}}
.. automodule:: {module}
   :members:
{options}```
:::::
"""


def modules(root: Path, room: str) -> Iterator[ModuleType]:
    """The modules of a room that readers use, by name.

    Examples
    --------
    >>> root = Path(__file__).parents[2]
    >>> [module.__name__ for module in modules(root, "theory")][:2]
    ['cdlnmf_lit.theory.convolution', 'cdlnmf_lit.theory.corollary_1']
    """
    for path in sorted((root / PACKAGE / room).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if name not in HELPERS and any(public(module := import_module(name))):
            yield module


def public(module: ModuleType) -> Iterator[Any]:
    """The functions and classes that a module defines under a public name."""
    for name, value in vars(module).items():
        defined_here = getattr(value, "__module__", None) == module.__name__
        described = inspect.isfunction(value) or inspect.isclass(value)
        if defined_here and described and not name.startswith("_"):
            yield value


def short_name(module: ModuleType) -> str:
    """A module's name in its room."""
    return module.__name__.split(".", 2)[2]


def summary(module: ModuleType) -> str:
    """The first sentence of a module's docstring."""
    return " ".join((inspect.getdoc(module) or "").split("\n\n")[0].split())


def folded(module: ModuleType) -> str:
    """A module's description as MyST, behind its name."""
    left_out = LEFT_OUT.get(module.__name__)
    return FOLDED.format(
        name=short_name(module),
        summary=paper_roles(summary(module), r"(P\1)"),
        module=module.__name__,
        options=f"   :exclude-members: {left_out}\n" if left_out else "",
    )


def index(root: Path) -> str:
    """All rooms and their modules as MyST, each a link."""
    lines = []
    for room in ROOMS:
        lines.append(f"\n**[{room.capitalize()}](api_{room}.md)**\n")
        lines += [
            f"- {{py:mod}}`{short_name(module)} <{module.__name__}>`: "
            + paper_roles(summary(module), r"{paper}`\1`")
            for module in modules(root, room)
        ]
    return "\n".join(lines)


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Put what the package has in the place of the lines that ask for it."""
    root, text = Path(app.srcdir), source[0]
    asked = MODULES.findall(text)
    for room in ROOMS if INDEX.search(text) else asked:
        app.env.note_dependency(str(root / PACKAGE / room))
    text = MODULES.sub(lambda found: "\n".join(map(folded, modules(root, found[1]))), text)
    source[0] = INDEX.sub(lambda found: index(root), text)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
