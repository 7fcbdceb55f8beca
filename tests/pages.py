"""README, CONTRIBUTING and the guides in docs/: their blocks of code."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md"))),
]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str, language: str) -> list[str]:
    """The blocks of a language, in order; "" for those of none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def shell_lines(page: str) -> list[str]:
    """The commands of a page, one a line."""
    joined = "\n".join(blocks_of(page, "sh")).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
