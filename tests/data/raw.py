"""Small files in the raw formats of the public data sets."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pandas as pd

from proxysr.data.sources.lastfm1k import ARCHIVE, PLAYS

DAY = 86_400


def retailrocket(folder: Path) -> None:
    rows = ["timestamp,visitorid,event,itemid,transactionid"]
    for visitor in range(12):
        at = (1_433_000_000 + visitor * DAY) * 1000
        rows.append(f"{at + 2},{visitor},view,8,")
        rows.append(f"{at + 1},{visitor},view,7,")
        rows.append(f"{at + 3},{visitor},addtocart,7,")
    (folder / "events.csv").write_text("\n".join(rows) + "\n")


def diginetica(folder: Path) -> Path:
    rows = ["sessionId;userId;itemId;timeframe;eventdate"]
    for session in range(10):
        day = f"2016-05-{session + 1:02}"
        # the file's order is not the order of the session
        rows += [f"{session};NA;{i};{t};{day}" for i, t in ((3, 900), (1, 5), (2, 70), (4, 1000))]
    rows.append("99;NA;3;1;2016-05-20")
    path = folder / "train-item-views.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def plays() -> str:
    rows = []
    for day in range(1, 11):
        for second, (artist, name) in enumerate(
            [("id-1", 'The "One"'), ("", "Nameless"), ("id-2", "Two")]
        ):
            for user in ("user_1", "user_2"):
                at = f"2008-03-{day:02}T10:00:{9 - second:02}Z"
                rows.append(f"{user}\t{at}\t{artist}\t{name}\t\tA track")
    return "\n".join(rows) + "\n"


def archive(folder: Path, text: str, member: str = PLAYS) -> Path:
    (folder / "plays.tsv").write_text(text)
    with tarfile.open(folder / ARCHIVE, "w:gz") as tar:
        tar.add(folder / "plays.tsv", arcname=f"lastfm-dataset-1K/{member}")
    (folder / "plays.tsv").unlink()
    return folder / ARCHIVE


def invoices() -> pd.DataFrame:
    rows = []
    for number in range(10):
        for code, title in (("85123a", "WHITE HOLDER"), ("71053", "LANTERN"), ("POST", "POSTAGE")):
            rows.append(
                [str(536000 + number), code, title, 6, number, 2.5, 17000 + number % 3, "UK"]
            )
    rows.append(["C536000", "71053", "LANTERN", -6, 11, 2.5, 17000, "UK"])
    rows.append(["536000", "71053", "damages", 6, 0, 0.0, 17000, "UK"])
    rows.append(["536001", "71053", "damages", -6, 1, 1.0, 17000, "UK"])
    names = "InvoiceNo StockCode Description Quantity InvoiceDate UnitPrice CustomerID Country"
    frame = pd.DataFrame(rows, columns=names.split())
    frame["InvoiceDate"] = pd.Timestamp("2010-12-01") + pd.to_timedelta(frame["InvoiceDate"], "D")
    return frame.astype({"CustomerID": float})


def three_parts(folder: Path) -> None:
    head = "sessionId,userId,itemId,timeframe,eventdate\n"
    train = "".join(f"{s},NA,{i},{t},\n" for s in range(3) for t, i in enumerate((5, 6, 7)))
    (folder / "my_train.csv").write_text(head + train)
    (folder / "my_valid.csv").write_text(
        f"{head}7,u1,6,1462978839,1462978800\n7,u1,5,1462978838,1462978800\n7,u1,9,1462978840,\n"
    )
    (folder / "my_test.csv").write_text(
        f"{head}8,NA,5,1463929246,1463929200\n8,u2,6,1463929247,1463929200\n"
    )
