"""How long, and in how much memory, a log of the size of LastFM-1K is prepared.

    python tests/benchmarks/prepare_lastfm.py [ROWS]

writes a table of 19.15 million made-up plays (or ROWS) in the raw format of LastFM-1K
to a temporary folder, prepares it in a process of its own by the preset of the source,
and prints one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

PLAYS = 19_150_868
MEASURE = """
import json, os, resource, sys, time
from proxysr.data.preparation import provenance_table
from proxysr.data.sources import SOURCES
begun = time.perf_counter()
split = SOURCES["lastfm1k"].prepare(sys.argv[1])
prepared = time.perf_counter()
split.save(sys.argv[2])
print(provenance_table(split).to_string(), file=sys.stderr)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "prepare_seconds": round(prepared - begun, 1),
    "save_seconds": round(time.perf_counter() - prepared, 1),
    "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
    "peak_rss_gib": round(used.ru_maxrss / 1024**2, 2),
    "load_average": os.getloadavg()[0],
    "clicks": split.train.n_clicks + split.valid.n_clicks + split.test.n_clicks,
}))
"""


def write_plays(path: Path, rows: int) -> None:
    """Plays of 992 users, in runs, latest first; artists skewed, some without an id."""
    # 15 to 60 plays a day
    duckdb.sql("SET memory_limit = '3GB'")
    duckdb.sql("SET preserve_insertion_order = true")
    duckdb.sql(
        f"""
        COPY (
            SELECT printf('user_%06d', u + 1),
                strftime(epoch_ms(
                    1241478537000 - (i // 992) * (1400000 + 700000 * (u % 7))
                ), '%Y-%m-%dT%H:%M:%SZ'),
                CASE WHEN a % 10 = 9 THEN '' ELSE md5(a::VARCHAR)::UUID::VARCHAR END,
                'Artist "' || a || '" of the Year',
                CASE WHEN t % 8 = 0 THEN '' ELSE md5(t::VARCHAR)::UUID::VARCHAR END,
                'A track called ' || t
            FROM (
                SELECT i, i % 992 AS u,
                    (power(hash(i) / 18446744073709551615.0, 4) * 176000)::BIGINT AS a,
                    (hash(i + 1) % 1500000)::BIGINT AS t
                FROM range({rows}) r(i)
            )
        ) TO '{path}' (FORMAT csv, DELIMITER '\t', HEADER false, QUOTE '', ESCAPE '')
        """
    )


def main(rows: int = PLAYS) -> None:
    with tempfile.TemporaryDirectory(prefix="lastfm-sized-") as folder:
        plays = Path(folder) / "plays.tsv"
        begun = time.perf_counter()
        write_plays(plays, rows)
        size = plays.stat().st_size / 1e9
        print(
            f"wrote {rows:,} plays, {size:.2f} GB, {time.perf_counter() - begun:.0f} s",
            file=sys.stderr,
        )
        result = subprocess.run(
            [sys.executable, "-c", MEASURE, str(plays), str(Path(folder) / "split")],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    print(json.dumps({"rows": rows, "file_gb": round(size, 2)} | json.loads(result.stdout)))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
