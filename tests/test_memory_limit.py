"""What does not fit in memory is refused before it begins, with a setting that would fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from proxysr import memory_limit
from proxysr.config import ConfigError
from proxysr.costs import check_training_memory, sizes_of, table_bytes
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.evaluation import evaluate
from proxysr.memory_limit import GIB, available_memory, require_memory
from proxysr.models import MODELS, SLIST, LatentProxy, create, learns
from proxysr.running import train_run
from proxysr.training import TrainConfig, fit
from tests.contract.small import SMALL, small

MIB = 2**20


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system of 8 GiB whose process is in group /a/b."""
    write(tmp_path / "meminfo", f"MemTotal: 1 kB\nMemAvailable: {8 * MIB} kB\n")
    write(tmp_path / "own", "4:cpu:/x\n0::/a/b\n")
    for name, file in (("MEMINFO", "meminfo"), ("OWN_GROUP", "own"), ("GROUPS", "groups")):
        monkeypatch.setattr(memory_limit, name, tmp_path / file)
    return tmp_path


def test_the_machine_tells_what_is_available(system: Path) -> None:
    assert available_memory() == 8 * GIB
    (system / "meminfo").unlink()
    assert available_memory() is None
    require_memory("Anything", 1e20, "Nothing is known.")


def test_the_tightest_group_counts_and_its_file_cache_can_be_had_back(system: Path) -> None:
    for group, limit in (("a/b", "max"), ("a", str(3 * GIB)), ("", str(6 * GIB))):
        write(system / "groups" / group / "memory.max", f"{limit}\n")
        write(system / "groups" / group / "memory.current", f"{2 * GIB}\n")
    assert available_memory() == GIB
    write(system / "groups/a/memory.stat", f"anon 5\ninactive_file {MIB}\n")
    assert available_memory() == GIB + MIB


def test_groups_of_version_1_are_read(system: Path) -> None:
    write(system / "own", "7:memory:/job\n")
    write(system / "groups/memory/job/memory.limit_in_bytes", str(2 * GIB))
    write(system / "groups/memory/job/memory.usage_in_bytes", str(GIB))
    assert available_memory() == GIB


@pytest.mark.parametrize("name", [*filter(learns, MODELS)])
def test_sizes_of_models_are_known_before_they_are_made(name: str) -> None:
    model = create(name, 123, SMALL[name])
    assert table_bytes(type(model), 123, model.config) == sizes_of(model)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the memory that there is, in bytes."""

    def set_limit(n: float) -> None:
        for module in ("costs", "memory_limit", "models.slist"):
            monkeypatch.setattr(f"proxysr.{module}.available_memory", lambda: n)

    return set_limit


def test_training_that_does_not_fit_names_settings_that_do(
    tiny_split: SessionSplit, tmp_path: Path, limit: Any
) -> None:
    tiny_split.save(tmp_path / "data")
    limit(60_000)
    with pytest.raises(ConfigError) as caught:
        train_run(tmp_path / "data", tmp_path / "run", model="gru4rec", progress=False)
    said = str(caught.value)
    assert re.match(r"Training GRU4Rec on 6 items needs at least 0\.00 GiB of memory, and", said)
    assert not (tmp_path / "run").exists()
    fitting = re.search(r"What would fit: embedding_dim=(\d+)", said)
    assert fitting is not None
    settings = {"embedding_dim": int(fitting[1])}
    train_run(
        tmp_path / "data", tmp_path / "run", model="gru4rec", model_config=settings,
        train=TrainConfig(epochs=1), progress=False,
    )  # fmt: skip


@pytest.mark.parametrize("embedding_dim", [2**17, 10**13])
def test_sizes_of_any_number_are_counted_not_allocated(limit: Any, embedding_dim: int) -> None:
    limit(10**9)
    settings = MODELS["gru4rec"].Config.from_dict({"embedding_dim": embedding_dim})
    sizes = {"batch_size": 10, "longest": 10}
    with pytest.raises(ConfigError, match=r"needs at least [\d,.]+ GiB.*would fit: embedding_dim="):
        check_training_memory(MODELS["gru4rec"], 50, settings, **sizes)


def test_what_a_batch_takes_counts_too(tiny_split: SessionSplit, limit: Any) -> None:
    limit(2_000_000)
    model = LatentProxy(6, LatentProxy.Config(n_proxies=4, attention=False))
    with pytest.raises(ConfigError, match=r"What would fit: .*batch_size=[0-9]+"):
        fit(model, tiny_split, TrainConfig(batch_size=100_000), progress=False)
    limit(1000)
    with pytest.raises(ConfigError, match="No smaller embedding_dim, n_proxies, max_length or"):
        fit(model, tiny_split, progress=False)


def test_evaluation_and_counting_are_checked_too(tiny_split: SessionSplit, limit: Any) -> None:
    limit(100)
    with pytest.raises(ConfigError, match=r"Ranking prefixes among 40 items needs"):
        evaluate(small("popularity"), tiny_split.valid)
    limit(200 * 2 * 4 * 100**2)
    with pytest.raises(ConfigError, match=r"without rare items \(1,414 would fit\), raise"):
        SLIST(2000).prepare(Sessions.from_lists([[1, 2]]))
