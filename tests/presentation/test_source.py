"""What a page lists is the source that is installed, and runs."""

import ast
import functools
import inspect
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.presentation import audio, source
from cdlnmf_lit.theory import arguments, gabor, operators


def code(text):
    return text.split("```python\n")[1].removesuffix("\n```")


class Sample:
    """A class
    with a docstring.
    """

    level: float = 1.0
    """Its level."""

    @property
    def doubled(self):
        """Twice."""
        return 2 * self.level

    @functools.cached_property
    def halved(self):
        """Half."""
        # A comment stays.
        return self.level / 2

    @classmethod
    def made(cls):
        """One."""

        return cls()

    @staticmethod
    @functools.cache
    def nothing():
        """Only a docstring."""


def test_a_listing_names_its_object_and_gives_its_code():
    text = source.listing(gabor.GaborFrame.synthesis)
    assert text.startswith("**`cdlnmf_lit.theory.gabor.GaborFrame.synthesis`**\n\n```python\n")
    assert code(text).startswith("def synthesis(self")


@pytest.mark.parametrize(
    ("shown", "listed"),
    [
        (Sample.doubled, "@property\ndef doubled(self):\n    return 2 * self.level"),
        (
            inspect.getattr_static(Sample, "halved"),
            "@functools.cached_property\ndef halved(self):\n"
            "    # A comment stays.\n    return self.level / 2",
        ),
        (Sample.made, "@classmethod\ndef made(cls):\n    return cls()"),
        (
            inspect.getattr_static(Sample, "made"),
            "@classmethod\ndef made(cls):\n    return cls()",
        ),
        (functools.partial(Sample().made), "@classmethod\ndef made(cls):\n    return cls()"),
        (
            Sample.nothing,
            '@staticmethod\n@functools.cache\ndef nothing():\n    """Only a docstring."""',
        ),
    ],
)
def test_a_listing_sees_through_what_wraps_a_function(shown, listed):
    text = source.listing(shown)
    assert text.startswith(f"**`{__name__}.Sample.")
    assert code(text) == listed


def test_a_class_is_listed_without_any_docstring_that_can_go():
    listed = code(source.listing(Sample))
    assert listed.startswith("class Sample:\n    level: float = 1.0\n\n    @property")
    assert listed.count('"""') == 2


@pytest.mark.parametrize("shown", [audio, arguments.signal, operators.Operator, audio.players])
def test_with_docstrings_the_listing_is_the_file(shown):
    listed = code(source.listing(shown, docstring=True))
    assert listed == textwrap.dedent(inspect.getsource(shown)).strip()


@given(
    shown=st.sampled_from(
        [
            member
            for module in (arguments, audio, gabor, operators, source)
            for member in [module, *vars(module).values()]
            if inspect.ismodule(member) or getattr(member, "__module__", "") == module.__name__
            if inspect.ismodule(member) or inspect.isclass(member) or inspect.isfunction(member)
        ]
    )
)
def test_a_listing_computes_what_the_source_computes(shown):
    def bare(text):
        tree = ast.parse(textwrap.dedent(text))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                kept = [
                    each
                    for each in node.body
                    if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
                ]
                node.body = kept or node.body
        return ast.dump(tree)

    fence = "`" * 4 if "````" in source.listing(shown) else "`" * 3
    listed = source.listing(shown).split(f"{fence}python\n")[1].removesuffix(f"\n{fence}")
    assert bare(listed) == bare(inspect.getsource(shown))


def test_a_fence_is_longer_than_any_in_the_source():
    listed = source.listing(source.listing, docstring=True)
    assert "\n````python\n" in listed
    assert listed.endswith("\n````")


def test_show_folds_each_listing_behind_its_name_and_its_lines(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append((data, raw)))
    source.show(arguments.signal, gabor.GaborFrame.synthesis)
    ((data, raw),) = shown
    assert raw
    listings = [source.listing(arguments.signal), source.listing(gabor.GaborFrame.synthesis)]
    assert data["text/plain"] == "\n\n".join(listings)
    for name, text in zip(("signal", "GaborFrame.synthesis"), listings, strict=True):
        lines = len(code(text).splitlines())
        summary = f"<summary>Source of <code>{name}</code>, {lines} lines</summary>"
        folded = f'<details class="listing">\n{summary}\n\n{text}\n\n</details>'
        assert folded in data["text/markdown"]
    assert data["text/markdown"].count("<details") == 2


def test_a_module_is_folded_behind_its_name(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    source.show(arguments)
    assert "Source of <code>cdlnmf_lit.theory.arguments</code>" in shown[0]["text/markdown"]


@pytest.mark.parametrize("shown", [len, 3, "text", functools.partial(len), (lambda: 0,)])
def test_what_has_no_source_is_refused(shown):
    with pytest.raises(ValueError, match="shown must have Python source of its own, got"):
        source.listing(shown)


def test_show_needs_something_to_show():
    with pytest.raises(ValueError, match="shown must name at least one object, got none"):
        source.show()
