"""README and guides: their commands and examples run, their links and lists are true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from proxysr import running, training
from proxysr.__main__ import COMMANDS, main
from proxysr.cli import demo
from proxysr.data.sources import SOURCES
from proxysr.models import MODELS
from proxysr.notebooks.running import chosen_notebooks
from proxysr.training import TrainConfig
from tests.commands import check_line
from tests.conftest import ROOT
from tests.pages import PAGES, blocks_of, shell_lines, text_of

RUN_AS_THEY_STAND = (
    "README.md", "docs/own_data.md", "docs/explorer.md", "docs/known_users.md", "docs/models.md",
)  # fmt: skip
LONG = ("demo", "explore", "notebooks", "tune")
FINDING = (
    "latent_proxy has 79.1 % of the next new items among its first 20, counting what is clicked "
    "together 60.5 %; its 13 proxies agree with the 10 planted interests by an AMI of 0.88 (1: the "
    "same groups, 0: chance)."
)
LONGEST_README = 180
LONGEST_EXAMPLE = 12


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(page: str) -> None:
    for line in shell_lines(page):
        check_line(line)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a demo was run, in a smaller shop."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "SHOP", demo.SHOP | {"n_sessions": 1000})
        patch.setattr(demo, "TRAIN", demo.TRAIN | {"epochs": 3})
        assert main(["demo", str(folder / "demo")]) == 0
    return folder


@pytest.fixture
def somewhere(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for one page, with that demo in it."""
    (tmp_path / "demo").symlink_to(place / "demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", RUN_AS_THEY_STAND)
def test_commands_run_one_after_the_other(
    page: str, somewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(network: Any, split: Any, config: TrainConfig, **options: Any) -> Any:
        """For two epochs at most: that the commands fit together is asked here."""
        return training.fit(network, split, config.replace(epochs=min(config.epochs, 2)), **options)

    monkeypatch.setattr(running, "fit", fit)
    lines = [line for line in shell_lines(page) if line.startswith("proxysr ")]
    lines = [line for line in lines if shlex.split(line)[1] not in LONG]
    assert lines
    for line in lines:
        code = main(shlex.split(line, comments=True)[1:])
        said = capsys.readouterr()
        assert code == 0, f"{line}\n{said.err}"
        assert "left out" not in said.err, f"{line}: an item is unknown"


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if blocks_of(page, "python")])
def test_examples_run_as_they_stand(page: str, somewhere: Path) -> None:
    for block in blocks_of(page, "python"):
        exec(compile(block, page, "exec", dont_inherit=True), {"__name__": "example"})


def test_the_readme_is_short_and_its_example_shows_what_it_says(
    somewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(text_of("README.md").splitlines()) <= LONGEST_README
    (example,) = blocks_of("README.md", "python")
    assert len(example.splitlines()) <= LONGEST_EXAMPLE
    exec(example, {})
    said = capsys.readouterr().out
    assert "effective_proxies" in said
    assert "'MRR@20': " in said
    assert len(re.findall(r"^\d +\d +i\d+ ", said, flags=re.MULTILINE)) == 5


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", text_of(page))
    for link, part in links:
        target = ((ROOT / page).parent / link).resolve() if link else ROOT / page
        assert target.exists(), link
        if part:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), flags=re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings]
            assert part in slugs, f"{link}#{part}"


def test_the_readme_leads_to_every_guide() -> None:
    links = {*re.findall(r"\]\((docs/\w+\.md)\)", text_of("README.md"))}
    assert links == {page for page in PAGES if page.startswith("docs/")}


def names_in_table(page: str) -> list[str]:
    rows = re.findall(r"^\| (`[^|]+) \|", text_of(page), flags=re.MULTILINE)
    return re.findall(r"`([\w-]+)`", " ".join(rows))


def test_every_model_source_and_notebook_is_listed() -> None:
    assert names_in_table("docs/models.md") == list(MODELS)
    assert {*SOURCES} <= {*names_in_table("docs/own_data.md")}
    assert names_in_table("docs/notebooks.md") == [path.stem for path in chosen_notebooks(None)]


def test_every_command_is_shown() -> None:
    lines = [line for page in PAGES for line in shell_lines(page)]
    assert {*re.findall(r"\bproxysr ([a-z]+)", "\n".join(lines))} >= {*COMMANDS}


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_named_in_text_exist(page: str) -> None:
    for target in re.findall(r"`(make [a-z]+)`", text_of(page)):
        check_line(target)


def test_what_the_demo_prints_is_what_the_readme_shows() -> None:
    (shown,) = blocks_of("README.md", "")
    finding = re.sub(r"\d+\.\d+", "N", FINDING)
    assert re.sub(r"\d+\.\d+", "N", shown) == f"{finding}\nOpen demo/report.html in a browser.\n"
