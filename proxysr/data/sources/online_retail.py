"""Online Retail: invoices of a British gift shop, 2010 to 2011, with customers and titles (UCI)."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from proxysr.config import unknown
from proxysr.data.bad_rows import OnBadRows, refuse
from proxysr.data.containers import kind_of
from proxysr.data.events import open_events
from proxysr.data.preparation import PrepareConfig
from proxysr.data.sources.base import DOWNLOAD, Log, Source, fetch, verify
from proxysr.data.sources.tables import frame_of
from proxysr.files import hash_of_file

WORKBOOK = "Online Retail.xlsx"
ARCHIVE = "online+retail.zip"
COLUMNS = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
    "Country",
)  # fmt: skip
PRODUCT = r"^(\d{5}|DCGS)"
"""Codes of goods; the others are postage, fees, vouchers, samples and corrections."""


class OnlineRetail(Source):
    """``Online Retail.xlsx``, the archive it comes in, or the same table as Parquet or CSV."""

    name = "online-retail"
    url: ClassVar[str] = f"https://archive.ics.uci.edu/static/public/352/{ARCHIVE}"
    sha256: ClassVar[str] = "f5385cbb54bbebf7196389109c6b0621faab0c304e3702548165e71c84aede8b"
    """Of the archive."""
    description = (
        "Online Retail, 541,909 lines of invoices. An invoice is a session, its lines in order; "
        "the customer is the user, the description the title. Cancelled invoices, lines without a "
        "positive quantity and price, and codes that are no goods (postage, fees, vouchers) are "
        "left out. Not a data set of the paper: the one here with both users and readable items."
    )
    licence = "CC BY 4.0 (Chen, D., 2015, doi:10.24432/C5BW33)"
    download_help = (
        f"Get {ARCHIVE} (23 MB) from {url} and hand in the archive, the {WORKBOOK} in it, or the "
        f"same table as .parquet or .csv; {DOWNLOAD!r} in the place of the path gets the archive "
        "for you. Reading the workbook needs openpyxl (extra 'notebooks') and about a minute."
    )
    config = PrepareConfig(sessions="given", min_item_count=5, min_session_length=2)

    def read(self, path: str | Path, on_bad_rows: OnBadRows, **options: Any) -> Log:
        """Read the invoices."""
        if str(path) == DOWNLOAD:
            path = fetch(self.url, ARCHIVE, known_hash=f"sha256:{self.sha256}")
        names = (WORKBOOK, ARCHIVE, "online_retail_raw.parquet", "online_retail.parquet")
        file = self.file(path, *names)
        frame = self.table(file, on_bad_rows)
        lacking = [name for name in COLUMNS if name not in frame.columns]
        if lacking:
            columns = [str(name) for name in frame.columns]
            raise ValueError(f"{file.name}: {unknown(lacking[0], columns, 'column')}")
        events = open_events(
            frame,
            item="code",
            time="InvoiceDate",
            session="InvoiceNo",
            user="CustomerID",
            title="Description",
            derive=lambda table: table.mutate(code=table.StockCode.cast("string").upper()),
            only=_sold,
            on_bad_rows=on_bad_rows,
        )
        session_ids = frame["InvoiceNo"].astype("str")
        info = pd.DataFrame({"session_id": session_ids, "country": frame["Country"]})
        info = info.drop_duplicates("session_id")
        origin = {"name": file.name, "sha256": hash_of_file(file)}
        return Log(events, session_info=info, origin=origin)

    def table(self, file: Path, on_bad_rows: OnBadRows) -> pd.DataFrame:
        """The lines of all invoices."""
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                if WORKBOOK not in archive.namelist():
                    return _excel(file, file)
                verify(file, "sha256", self.sha256)
                with archive.open(WORKBOOK) as workbook:
                    return _excel(workbook, file)
        encoding = None
        if kind_of(file) == "text":
            if not file.stat().st_size:
                raise ValueError(f"{file} is empty. {self.download_help}")
            try:
                file.read_bytes().decode()
            except UnicodeDecodeError:
                encoding = "latin-1"  # the file that circulates
        frame, report = frame_of(file, encoding=encoding)
        refuse(report, on_bad_rows)
        if kind_of(file) == "text":
            for name in {"Quantity", "UnitPrice", "CustomerID"} & set(frame.columns):
                frame[name] = pd.to_numeric(frame[name], errors="coerce")
            if "InvoiceDate" in frame.columns:
                frame["InvoiceDate"] = _iso(frame["InvoiceDate"])
        return frame.reset_index(drop=True)


def _iso(times: pd.Series[Any]) -> pd.Series[Any]:
    """Times as they are, but the American ones of the CSV that circulates in ISO 8601."""
    american = pd.to_datetime(times, format="%m/%d/%Y %H:%M", errors="coerce")
    return american.dt.strftime("%Y-%m-%d %H:%M:%S").where(american.notna(), times)


def _excel(workbook: Any, file: Path) -> pd.DataFrame:
    try:
        return pd.read_excel(workbook, dtype={"InvoiceNo": str, "StockCode": str})
    except ImportError:
        raise ImportError(
            "Reading a workbook needs openpyxl, which is not installed: pip install openpyxl"
        ) from None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} cannot be read as a workbook: {error}.") from None


def _sold(lines: Any) -> Any:
    """Which lines are goods sold: neither cancelled nor corrections, postage or fees."""
    return (
        ~lines.InvoiceNo.cast("string").upper().startswith("C")
        & (lines.Quantity.cast("float64") > 0)
        & (lines.UnitPrice.cast("float64") > 0)
        & lines.code.re_search(PRODUCT)
    )
