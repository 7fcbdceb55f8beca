"""Messages where Spark cannot run, and what every engine promises."""

from __future__ import annotations

import shutil
import sys
from types import ModuleType, SimpleNamespace

import pytest

from proxysr.config import ConfigError
from proxysr.data.engines import readable
from proxysr.data.sources import SOURCES, spark_log


def test_without_pyspark_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(ConfigError, match=r"Spark needs the package pyspark.*install '.\[spark\]'"):
        SOURCES["spark"].prepare("clicks")


@pytest.mark.parametrize("home", [None, "/no/java/here"])
def test_without_java_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    sql = ModuleType("pyspark.sql")
    sql.SparkSession = SimpleNamespace(getActiveSession=lambda: None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyspark", ModuleType("pyspark"))
    monkeypatch.setitem(sys.modules, "pyspark.sql", sql)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    if home is None:
        monkeypatch.delenv("JAVA_HOME", raising=False)
    else:
        monkeypatch.setenv("JAVA_HOME", home)
    with pytest.raises(ConfigError, match="Spark needs Java 17 or newer .*openjdk-17-jre-headless"):
        SOURCES["spark"].prepare("clicks", master="local[2]")


def test_an_address_of_a_cluster_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = []

    def read(address: str) -> None:
        addresses.append(address)
        raise ValueError("no such host")

    session = SimpleNamespace(read=SimpleNamespace(parquet=read))
    connected = SimpleNamespace(_session=session)
    monkeypatch.setattr(spark_log, "connect_spark", lambda master: connected)
    with pytest.raises(ValueError, match="no such host"):
        SOURCES["spark"].prepare("hdfs://host//clicks.parquet/")
    assert addresses == ["hdfs://host//clicks.parquet/"]


def test_errors_of_java_are_one_line_and_others_are_left_alone() -> None:
    raised = type("Py4JError", (Exception,), {"__module__": "py4j.protocol"})
    one_line = pytest.raises(ValueError, match=r"^clicks cannot be prepared: no executors$")
    with one_line, readable("clicks cannot be prepared"):
        raise raised("no executors\n\tat org.apache.spark")
    with pytest.raises(ZeroDivisionError), readable("clicks cannot be prepared"):
        _ = 1 / 0
