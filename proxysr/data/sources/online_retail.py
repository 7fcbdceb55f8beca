"""Online Retail: invoices of a British gift shop, 2010 to 2011, with customers and titles (UCI)."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from proxysr.config import require, unknown
from proxysr.data.bad_rows import OnBadRows
from proxysr.data.cleaning import as_number
from proxysr.data.containers import kind_of
from proxysr.data.engines import engine_of
from proxysr.data.events import open_events
from proxysr.data.preparation import PrepareConfig
from proxysr.data.raw import UNREADABLE
from proxysr.data.sources.base import DOWNLOAD, Log, Source, fetch, verify
from proxysr.files import hash_of_file

WORKBOOK = "Online Retail.xlsx"
ARCHIVE = "online+retail.zip"
COLUMNS = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
    "Country",
)  # fmt: skip
NUMBERS = ("Quantity", "UnitPrice", "CustomerID")
AMERICAN = r"^\s*(0?[1-9]|1[0-2])/(\d{1,2})/(\d{4}) (\d{1,2}:\d{2})\s*$"
"""Times of the CSV that circulates."""
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
        source = self.table(file)
        tables: list[Any] = []  # a text is opened once more where its first reader refuses it

        def readable(table: Any) -> Any:
            """The lines with codes and numbers, and what is wrong with a number."""
            for name in COLUMNS:
                require(
                    name in table.columns,
                    f"{file.name}: {unknown(name, table.columns, 'column')}",
                )
            tables.append(table)
            return _typed(table)

        events = open_events(
            source,
            item="code",
            time="InvoiceDate",
            session="InvoiceNo",
            user="CustomerID",
            title="Description",
            encoding=_encoding(source),
            derive=readable,
            only=_sold,
            on_bad_rows=on_bad_rows,
        )
        info = tables[-1].select(session_id=tables[-1].InvoiceNo.cast("string"), country="Country")
        info = engine_of(events.connection).fetch(info).to_pandas()
        info = info.drop_duplicates("session_id", ignore_index=True)
        origin = {"name": file.name, "sha256": hash_of_file(file)}
        return Log(events, session_info=info, origin=origin)

    def table(self, file: Path) -> Path | pd.DataFrame:
        """The lines of all invoices: a frame of a workbook, else the file itself."""
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                if WORKBOOK not in archive.namelist():
                    return _excel(file, file)
                verify(file, "sha256", self.sha256)
                with archive.open(WORKBOOK) as workbook:
                    return _excel(workbook, file)
        if not file.stat().st_size:
            raise ValueError(f"{file} is empty. {self.download_help}")
        return file


def _encoding(source: Path | pd.DataFrame) -> str | None:
    """That of the CSV that circulates, where a text is no UTF-8."""
    if not isinstance(source, Path) or kind_of(source) != "text":
        return None
    try:
        source.read_bytes().decode()
    except UnicodeDecodeError:
        return "latin-1"
    return None


def _typed(table: Any) -> Any:
    """Lines with ``code``, numbers, ISO dates, and what is wrong with a number."""
    import ibis

    given = {name: table[name] for name in NUMBERS if table[name].type().is_string()}
    wrong = [
        ((text.strip() != "") & as_number(text).isnull()).ifelse(
            ibis.literal(f"{name} '") + text + "' is not a number", ibis.null("string")
        )
        for name, text in given.items()
    ]
    typed = {name: as_number(text) for name, text in given.items()}
    if table.InvoiceDate.type().is_string():
        typed["InvoiceDate"] = table.InvoiceDate.re_replace(AMERICAN, r"\3-\1-\2 \4")
    if wrong:
        typed[UNREADABLE] = ibis.coalesce(*wrong)
    return table.mutate(code=table.StockCode.cast("string").upper(), **typed)


def _excel(workbook: Any, file: Path) -> pd.DataFrame:
    try:
        frame = pd.read_excel(workbook, dtype={"InvoiceNo": str, "StockCode": str})
    except ImportError:
        raise ImportError(
            "Reading a workbook needs openpyxl, which is not installed: pip install openpyxl"
        ) from None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} cannot be read as a workbook: {error}.") from None
    frame.attrs["file"] = file.name
    return frame


def _sold(lines: Any) -> Any:
    """Which lines are goods sold: neither cancelled nor corrections, postage or fees."""
    is_sold = (lines.Quantity.cast("float64") > 0) & (lines.UnitPrice.cast("float64") > 0)
    if UNREADABLE in lines.columns:
        is_sold |= lines[UNREADABLE].notnull()  # nobody knows, and it is told
    return (
        ~lines.InvoiceNo.cast("string").upper().startswith("C")
        & lines.code.re_search(PRODUCT)
        & is_sold
    )
