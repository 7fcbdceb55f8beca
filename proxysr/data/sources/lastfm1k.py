"""LastFM-1K: what 992 people listened to, 2005 to 2009 (Celma 2010); an item is an artist."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any, ClassVar

from proxysr.data.bad_rows import OnBadRows
from proxysr.data.engines import embedded, temporary_folder
from proxysr.data.events import open_events
from proxysr.data.preparation import PrepareConfig
from proxysr.data.sources.base import DOWNLOAD, Log, Source, fetch, verify

PLAYS = "userid-timestamp-artid-artname-traid-traname.tsv"
ARCHIVE = "lastfm-dataset-1K.tar.gz"
COLUMNS = ("user_id", "timestamp", "artist_id", "artist", "track_id", "track")


class LastFM1K(Source):
    """``userid-timestamp-artid-artname-traid-traname.tsv``, or the archive it comes in."""

    name = "lastfm1k"
    url: ClassVar[str] = f"https://zenodo.org/records/6090214/files/{ARCHIVE}"
    md5: ClassVar[str] = "64747b21563e3d2aa95751e0ddc46b68"
    """Of the table of plays, as its author publishes it."""
    description = (
        "LastFM-1K, 19,150,868 plays of 992 users. An item is an artist: the MusicBrainz id, or "
        "the name where there is no id. A user's day (UTC) is a session. Preset of the paper's "
        "Table 1: artists of fewer than 5 plays dropped, then sessions of fewer than 3 or more "
        "than 50 plays."
    )
    licence = "non-commercial use (distributed with permission of Last.fm)"
    download_help = (
        f"Get {ARCHIVE} (0.7 GB) from {url} or http://ocelma.net/MusicRecommendationDataset/ and "
        f"hand in the archive, the {PLAYS} in it, or a folder that holds one of them; "
        f"{DOWNLOAD!r} in the place of the path gets the archive for you. The plays of an archive "
        f"are checked against the published MD5 {md5}. Unpacked they take 2.5 GB."
    )
    config = PrepareConfig(
        sessions="day", min_item_count=5, min_session_length=3, max_session_length=50, rounds="once"
    )
    published: ClassVar = {"interactions": 5_103_585, "items": 33_531, "sessions": 229_760}

    def read(self, path: str | Path, on_bad_rows: OnBadRows, **options: Any) -> Log:
        """Read the table of plays, unpacked and checked first if the archive is given."""
        if str(path) == DOWNLOAD:
            path = fetch(self.url, ARCHIVE, known_hash=None)
        file = self.file(path, PLAYS, f"lastfm-dataset-1K/{PLAYS}", ARCHIVE)
        connection = embedded()
        if file.name.endswith((".tar.gz", ".tgz")):
            file = self.unpacked(file, temporary_folder(connection))
        events = open_events(
            file,
            item="artist_or_name",
            time="timestamp",
            user="user_id",
            title="artist",
            delimiter="\t",
            quote="",
            columns=COLUMNS,
            derive=_artist_or_name,
            on_bad_rows=on_bad_rows,
            connection=connection,
        )
        return Log(events)

    def unpacked(self, archive: Path, folder: Path) -> Path:
        """The table of plays out of the archive, checked."""
        target = folder / PLAYS
        try:
            with tarfile.open(archive) as tar:
                member = next((m for m in tar if Path(m.name).name == PLAYS), None)
                plays = tar.extractfile(member) if member else None
                if plays is None:
                    raise ValueError(f"{archive} holds no {PLAYS}. {self.download_help}")
                with plays, target.open("wb") as file:
                    shutil.copyfileobj(plays, file)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ValueError(
                f"{archive} cannot be unpacked ({error}). Get it again. {self.download_help}"
            ) from None
        verify(target, "md5", self.md5)
        return target


def _artist_or_name(plays: Any) -> Any:
    return plays.mutate(artist_or_name=plays.artist_id.nullif("").coalesce(plays.artist))
