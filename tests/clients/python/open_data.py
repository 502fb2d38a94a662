"""Reads Hesper's history, and files it exported, with DuckDB and pyarrow; prints the sums of the series 'speed' by zone as JSON.

Usage: open_data.py HISTORY PARQUET ARROW
"""

import json
import sys

import duckdb
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet as pq

history, exported_parquet, exported_arrow = sys.argv[1:]
sums = {}

# The view of docs/formats/history.md.
duckdb.sql(f"""
    CREATE VIEW raw AS
    SELECT name, "tag.zone" AS zone, sequence, start + to_milliseconds(i * step_ms) AS time,
           coalesce(plain_values[i + 1], (coalesce(base, 0) + scaled_values[i + 1]) / divisor) AS value
    FROM (SELECT *, unnest(range(60)) AS i FROM read_parquet('{history}/raw/*/*.parquet', union_by_name = true))
    WHERE value IS NOT NULL
""")
rows = duckdb.sql("SELECT zone, sum(value) FROM raw WHERE name = 'speed' GROUP BY zone ORDER BY zone")
sums["duckdb, history"] = rows.fetchall()

rows = duckdb.sql(
    f"SELECT zone, sum(value) FROM '{exported_parquet}' WHERE name = 'speed' GROUP BY zone ORDER BY zone"
)
sums["duckdb, exported"] = rows.fetchall()


def by_zone(table, value):
    table = table.filter(pc.equal(pc.cast(table["name"], "string"), "speed"))
    zones = pc.cast(table["zone"], "string").to_pylist()
    found = {}
    for zone, v in zip(zones, table[value].to_pylist()):
        found[zone] = found.get(zone, 0) + v
    return sorted(found.items())


# Each row of history has the sum of its values beside them.
table = duckdb.sql(f"SELECT file FROM glob('{history}/raw/*/*.parquet')").fetchall()
tables = [pq.read_table(file, partitioning=None) for (file,) in table]
found = {}
for table in tables:
    table = table.rename_columns([c.removeprefix("tag.") for c in table.column_names])
    for zone, v in by_zone(table, "sum"):
        found[zone] = found.get(zone, 0) + v
sums["pyarrow, history"] = sorted(found.items())

sums["pyarrow, exported parquet"] = by_zone(pq.read_table(exported_parquet), "value")
sums["pyarrow, exported arrow"] = by_zone(pyarrow.feather.read_table(exported_arrow), "value")

print(json.dumps(sums))
