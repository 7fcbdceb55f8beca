"""``proxysr paper``: runs of every table on small data, a page of them, and what is missing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from proxysr.__main__ import main
from proxysr.analysis.known_history import FIRST, LATER, NAMES
from proxysr.analysis.significance import CompareConfig, compare_runs
from proxysr.data.sources import SOURCES
from proxysr.evaluation import values_of
from proxysr.experiments.presets import ABLATIONS
from proxysr.paper import tables
from proxysr.paper.evidence import Evidence
from proxysr.paper.printed import published_results, published_variants
from proxysr.run import RunDir
from proxysr.running import train_run
from proxysr.training import TrainConfig

QUICK = ["--epochs", "1", "--presets", "small", "--device", "cpu"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up log in a folder that is named as if it were of the paper's RetailRocket."""
    sizes = {"n_sessions": 200, "n_items": 60, "n_users": 8, "n_interests": 2}
    folder = tmp_path_factory.mktemp("paper") / "retailrocket-small"
    return SOURCES["synthetic"].prepare("synthetic", **sizes).save(folder)


def paper_run(table: str, data: Path, out: Path, *words: str) -> int:
    return main(["paper", "run", table, "--data", str(data), "--out", str(out), *QUICK, *words])


@pytest.fixture(scope="module")
def out(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of all tables and figures."""
    out = tmp_path_factory.mktemp("runs")
    models = ["--models", "proxysr,sasrec,cooccurrence"]
    assert paper_run("table2", data, out, *models, "--seeds", "0,1") == 0
    assert paper_run("table3", data, out, *models, "--seeds", "0") == 0
    for table in ("table5", "figure4"):
        assert paper_run(table, data, out, "--seeds", "0") == 0
    assert paper_run("table4", data, out, "--seeds", "0", "--min-sessions", "3") == 0
    assert paper_run("table6", data, out, "--seeds", "0,1") == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "PROXIES", (3, 10))
        assert paper_run("figure3", data, out, "--seeds", "0") == 0
    return out


@pytest.fixture(scope="module")
def page(out: Path) -> str:
    path = out / "results.md"
    assert main(["paper", "tables", str(out), "--out", str(path), "--resamples", "50"]) == 0
    return path.read_text()


def cells(page: str, title: str) -> dict[str, list[str]]:
    """The cells of the table under a title, by their first one."""
    lines = page.partition(f"### {title}")[2].partition("###")[0].splitlines()
    rows = [line[2:-2].split(" | ") for line in lines if line.startswith("| ")]
    return {row[0].strip(): row[1:] for row in rows}


def line_after(page: str, words: str) -> list[str]:
    """The names that the first line with these words goes on with."""
    return page.partition(words)[2].splitlines()[0].rstrip(".").split(", ")


def test_values_are_those_of_the_metrics_files(out: Path, page: str) -> None:
    runs = [RunDir(path.parent) for path in out.glob("run-*/config.json")]
    own = [r for r in runs if r.model_name == "sasrec" and r.train_config.valid_task == "unseen"]
    assert len(own) == 2
    values = pd.Series([run.evaluation("test", "unseen")["metrics"]["R@20"] for run in own])
    row = dict(zip(["", *cells(page, "Table 2")[""]], ["", *cells(page, "Table 2")["SASRec"]],
                   strict=True))  # fmt: skip
    assert row["seeds"] == "2"
    assert row["R@20"] == f"{values.mean():.4f} ± {values.std():.4f}"
    assert row["R@20, paper"] == "0.2781"
    n_targets = own[0].evaluation("test", "unseen")["n_targets"]
    assert f"{n_targets:,} targets of " in page.partition("### Table 2")[2][:60]


def test_evidence_has_the_metrics_of_its_run(out: Path) -> None:
    """Also of models that count, in which items are often level, so that ranks have halves."""
    runs = [RunDir(path.parent) for path in out.glob("run-*/config.json")]
    halves = 0
    for run in runs:
        evidence = Evidence.of_run(run)
        for task, ranked in evidence.ranked.items():
            metrics = run.evaluation("test", task)["metrics"]
            for name in ("R@20", "MRR@20", "R@5"):
                assert values_of(ranked.ranks, name).mean() == pytest.approx(metrics[name])
            halves += int((ranked.ranks % 1 > 0).sum())
    assert halves > 0


def test_differences_are_those_of_compare(out: Path, page: str) -> None:
    by_model = {}
    for path in out.glob("run-*/config.json"):
        run = RunDir(path.parent)
        config = run.train_config
        if run.model_name in ("sasrec", "cooccurrence") and config.valid_task == "repeat":
            by_model[run.model_name] = run.path
    config = CompareConfig(resamples=50)
    command = ["paper", "tables", *map(str, by_model.values()), "--resamples", "50"]
    path = out / "two.md"
    assert main([*command, "--out", str(path), "--reference", "sasrec"]) == 0
    expected, _ = compare_runs([by_model["sasrec"], by_model["cooccurrence"]], config=config)
    change = expected.loc[2, ["difference", "difference_low", "difference_high"]]
    assert "{:+.4f} [{:+.4f}, {:+.4f}], p ".format(*change) in path.read_text()


def test_every_table_has_its_rows_and_names_what_is_missing(page: str) -> None:
    table2, table3 = cells(page, "Table 2"), cells(page, "Table 3")
    printed = published_results()["printed"].unique().tolist()
    names = list(table2)[2:]  # after the heading
    ours = ["SASRec", "GCE-GNN", "ProxySR"]
    assert names[:3] == ours
    assert set(names[3:6]) == {"cooccurrence", "mean", "latent_proxy"}
    assert names[6:] == [name for name in printed if name not in ours]
    assert "No runs of: GRU4Rec, NARM, STAMP, RepeatNet, SR-GNN, FGNN, CSRM, GRec." in page
    assert set(line_after(page, "No runs of seed 1: ")) == {"GCE-GNN", "latent_proxy", "mean"}
    assert table3["GCE-GNN †"][0] == "1"
    assert "† The epoch was chosen by the other task." in page
    assert list(cells(page, "Table 5"))[2:] == ["ProxySR", *ABLATIONS]
    assert list(cells(page, "Figure 3"))[2:] == ["K = 3", "K = 10", "K = 30"]
    shares = cells(page, "Table 4")
    assert {f"{share} %, all" for share in (0, 30, 50)} <= {*shares}
    assert "+0.0107" in shares["50 %, all"]
    histories = cells(page, "Table 4, the prior of latent_proxy by earlier sessions")
    assert list(histories)[2:] == [
        f"{clicks}, {read}" for clicks in (FIRST, LATER) for read in NAMES.values()
    ]
    assert "a user's own history" in page.partition("the prior of latent_proxy")[2]
    hrnn = published_variants(6)["variant"].unique()
    assert [name for name in cells(page, "Table 6") if name in hrnn] == list(hrnn)
    assert "0.1941" in cells(page, "Table 6")["HRNN proxy"]
    assert "retailrocket" in page


def test_the_first_lines_say_who_leads(out: Path, page: str) -> None:
    first = page.splitlines()[2]
    assert re.match(
        r"\*\*proxysr has the highest R@20 in \d of 2 tables of models, on 1 data set", first
    )
    assert "Some models have no more than 1 seed: of how much" in first
    assert "--resamples 50`; do not edit." in page
    recalls = {
        RunDir(path.parent).model_name: RunDir(path.parent).evaluation("test", "unseen")["metrics"]
        for path in out.glob("run-*/config.json")
        if "known_users" not in RunDir(path.parent).data["provenance"]
    }
    (leader,) = [line for line in page.splitlines() if line.startswith("| retailrocket-small | un")]
    assert "best that only counts" in page
    assert f"cooccurrence, {recalls['cooccurrence']['R@20']:.4f}" in leader


def test_known_users_have_as_many_sessions_as_asked_for(out: Path) -> None:
    known = [
        RunDir(path.parent).data["provenance"]["known_users"]
        for path in out.glob("run-*/config.json")
        if "known_users" in RunDir(path.parent).data["provenance"]
    ]
    assert {found["min_sessions"] for found in known} == {3}


def test_each_seed_of_table_6_has_groups_of_its_own_proxysr(out: Path, page: str) -> None:
    table = cells(page, "Table 6")
    assert {row[0] for name, row in table.items() if name.startswith("HRNN")} == {"2"}
    data_of = {
        seed: {
            run.data["fingerprint"]
            for run in map(RunDir, (path.parent for path in out.glob("run-*/config.json")))
            if run.train_config.seed == seed
            and run.data["provenance"].get("grouped", {}).get("by") == "proxy"
        }
        for seed in (0, 1)
    }
    assert all(data_of.values())
    assert not data_of[0] & data_of[1]


def test_recall_by_popularity_adds_up(out: Path, page: str) -> None:
    title = "R@20 by how often the target was clicked in training"
    heading, *rows = [
        line for line in page.partition(f"#### {title}")[2].partition("###")[0].splitlines()
        if line.startswith("| ") and "---" not in line
    ]  # fmt: skip
    shares = [int(share) / 100 for share in re.findall(r"(\d+)% of targets", heading)]
    assert sum(shares) == pytest.approx(1, abs=0.02)
    (row,) = [row for row in rows if row.startswith("| cooccurrence")]
    values = [float(cell) for cell in row[2:-2].split(" | ")[1:]]
    column = cells(page, "Table 2")[""].index("R@20")
    whole = float(cells(page, "Table 2")["cooccurrence"][column])
    assert sum(s * v for s, v in zip(shares, values, strict=True)) == pytest.approx(whole, abs=0.02)


def test_settings_stand_with_the_scores(page: str) -> None:
    settings = page.partition("#### Settings")[2].partition("##")[0]
    assert re.search(r"- SASRec: .*epochs \d.*; best epoch \d of \d, \d of \d", settings)
    assert "- cooccurrence: the defaults" in settings


def test_the_same_command_keeps_what_is_there(
    data: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.glob("run-*/checkpoints/*")}
    capsys.readouterr()
    words = ["--models", "proxysr,sasrec,cooccurrence", "--seeds", "0,1", "--json"]
    assert paper_run("table2", data, out, *words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["runs"]) == 2 * (2 + 2 + 1)
    assert {run["hole"] for run in answer["runs"]} == {""}
    kept = pd.read_csv(out / "runs.csv")
    assert kept["R@20"].tolist() == [run["R@20"] for run in answer["runs"]]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_run_that_stopped_half_way_is_named_and_left_out(
    data: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_run(data, tmp_path / "half", model="popularity", train=TrainConfig(device="cpu"),
              progress=False)  # fmt: skip
    path = next(path.parent for path in out.glob("run-*/config.json"))
    shutil.copytree(path, tmp_path / "damaged")
    (tmp_path / "damaged" / "config.json").write_text("{")
    for name in ("whole", "twice"):
        shutil.copytree(path, tmp_path / name)
    words = ["paper", "tables", str(tmp_path), "--out", str(tmp_path / "page.md")]
    assert main(words) == 0
    left_out = (tmp_path / "page.md").read_text().partition("## Runs that are left out")[2]
    assert "1 without an evaluation, which `proxysr evaluate RUN` makes: half." in left_out
    assert "config.json is damaged" in left_out
    assert "whole repeats the run twice." in left_out
    (tmp_path / "apart").mkdir()
    (tmp_path / "twice").rename(tmp_path / "apart" / "whole")
    assert main(words) == 0
    assert "whole repeats the run apart/whole." in (tmp_path / "page.md").read_text()
    shutil.rmtree(tmp_path / "apart")
    shutil.rmtree(tmp_path / "whole")
    capsys.readouterr()
    assert main(words) == 2
    assert "No evaluated run lies in " in capsys.readouterr().err


def test_a_spec_of_one_s_own_goes_on_where_a_part_fails(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"data: {{here: {data}, lost: {tmp_path / 'absent'}}}\n"
        "models: [popularity, {model: cooccurrence, vary: {window: [1, 2]}}]\n"
    )
    out = tmp_path / "runs"
    words = ["paper", "run", str(spec), "--out", str(out), "--device", "cpu"]
    assert main(words) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "3 of 6 runs of " in error
    assert "absent is not a proxysr split" in error
    frame = pd.read_csv(out / "runs.csv", keep_default_na=False, na_values=[""])
    there = frame[frame["data"] == "here"]
    assert there["variant"].unique().tolist() == [
        "popularity", "cooccurrence, window 1", "cooccurrence, window 2",
    ]  # fmt: skip
    assert there["hole"].isna().all()
    assert there["R@20"].notna().all()
    spec.write_text(spec.read_text().replace(f", lost: {tmp_path / 'absent'}", ""))
    capsys.readouterr()
    assert main([*words, "--set", "valid_min_prefix=2"]) == 0
    assert "3 runs in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "name", "message"),
    [
        (["tables", "OUT", "--out", "notes.md"], "notes.md", "is not a page of results; nothing"),
        (["run", "spec.yaml", "--out", "."], "runs.csv", "is not the rows of a spec's runs; n"),
    ],
)
def test_only_earlier_results_are_replaced(
    words: list[str], name: str, message: str, data: Path, out: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(f"data: {data}\nmodels: popularity\n")
    Path(name).write_text("own notes\n")
    words = [str(out) if word == "OUT" else word for word in words]
    assert main(["paper", *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert Path(name).read_text() == "own notes\n"
    Path(name).unlink()
    for _ in range(2):
        assert main(["paper", *words]) == 0
    assert Path(name).is_file()


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper", "--help"]) == 0
    text = capsys.readouterr().out
    assert "proxysr paper tables runs/paper --out results.md" in text
    assert "table5: ProxySR without one idea at a time." in text


def test_a_page_has_runs_of_several_machines(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some runs here, the others there: the page of both is that of all at once."""
    words = ["--out", str(tmp_path / "page.md"), "--resamples", "50"]
    keep = ["--keep", str(tmp_path / "kept")]
    assert main(["paper", "tables", str(out), *words]) == 0
    whole = (tmp_path / "page.md").read_text().partition("\n## ")[2]
    runs = sorted(str(path.parent) for path in out.glob("run-*/config.json"))
    for some in (runs[::2], runs[1::2]):
        assert main(["paper", "tables", *some, *words, *keep]) == 0
    page = (tmp_path / "page.md").read_text()
    assert page.partition("\n## ")[2] == whole
    assert f"--resamples 50 --keep {tmp_path / 'kept'}`; do not edit." in page
    assert main(["paper", "tables", *words, *keep]) == 0
    assert (tmp_path / "page.md").read_text().partition("\n## ")[2] == whole
    kept = sorted((tmp_path / "kept" / "retailrocket-small").glob("[!t]*.json"))
    assert len(kept) == len(runs)
    text = "".join(path.read_text() for path in kept)
    assert str(tmp_path) not in text
    assert str(out) not in text
    capsys.readouterr()
    kept[0].write_text("{}")
    before = (tmp_path / "page.md").read_bytes()
    assert main(["paper", "tables", runs[0], *words, *keep]) == 2
    assert f"{kept[0].name} is damaged, or no kept result: " in capsys.readouterr().err
    assert (tmp_path / "page.md").read_bytes() == before


def test_logs_of_one_name_are_side_by_side(data: Path, tmp_path: Path) -> None:
    other = tmp_path / data.name
    sizes = {"n_sessions": 150, "n_items": 50, "n_users": 8, "n_interests": 2}
    SOURCES["synthetic"].prepare("synthetic", **sizes).save(other)
    for folder in (data, other):
        models = ["--models", "cooccurrence", "--seeds", "0"]
        assert paper_run("table2", folder, tmp_path / "runs", *models) == 0
    words = ["paper", "tables", "--out", str(tmp_path / "page.md")]
    words += ["--keep", str(tmp_path / "kept")]
    for folders in ([str(tmp_path / "runs")], []):
        assert main([*words, *folders]) == 0
        assert (tmp_path / "page.md").read_text().count("## retailrocket-small") == 2


def test_pictures_are_of_the_page_and_shown_on_it(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr("proxysr.plots.saving.draw", lambda fig: drawn.append(fig) or b"png")
    page, folder = tmp_path / "docs" / "page.md", tmp_path / "figures"
    page.parent.mkdir()
    words = ["--out", str(page), "--resamples", "50", "--pictures", str(folder)]
    assert main(["paper", "tables", str(out), *words]) == 0
    text = page.read_text()
    assert text.count("](../figures/retailrocket-small.png)") == 1
    (fig,) = drawn
    assert [note.text for note in fig.layout.annotations][:2] == [
        "next unseen item",
        "with repeats",
    ]
    table = pd.read_csv(folder / "retailrocket-small.csv")
    shown = table[(table["run"] == "SASRec") & (table["metric"] == "R@20")].set_index("task")
    assert shown["published"]["unseen"] == 0.2781
    assert f"{shown['value']['unseen']:.4f}" == cells(text, "Table 2")["SASRec"][1].split(" ")[0]
