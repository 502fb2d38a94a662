"""Asks a node through the ADBC driver for Arrow Flight SQL, as a user of pandas or polars would, and checks the answers.

    python3 flight_sql.py grpc://127.0.0.1:7102

The node holds the series `speed` of four nodes in two zones, with the values 1 to 4 at each of 100 minutes from 2026-01-05T00:01Z.
"""

import datetime
import sys

import adbc_driver_flightsql.dbapi as flight_sql
import adbc_driver_manager


def main(uri):
    with flight_sql.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        check_rows(cursor)
        check_arrow(cursor)
        check_stack(cursor)
        check_prepared(cursor)
        check_refusals(cursor)
        check_metadata(connection)
    print("ok")


def check_rows(cursor):
    cursor.execute("SELECT time, sum(value), count(*) FROM metrics WHERE name = 'speed' GROUP BY time ORDER BY time")
    rows = cursor.fetchall()
    assert len(rows) == 100, len(rows)
    first = datetime.datetime(2026, 1, 5, 0, 1, tzinfo=datetime.timezone.utc)
    assert rows[0] == (first, 10.0, 4), rows[0]
    assert rows[99] == (first + datetime.timedelta(minutes=99), 10.0, 4), rows[99]
    cursor.execute("SELECT node, max(value) FROM metrics WHERE zone = 'b' GROUP BY node ORDER BY node")
    assert cursor.fetchall() == [("n2", 3.0), ("n3", 4.0)]


def check_arrow(cursor):
    cursor.execute("SELECT * FROM metrics_5m WHERE node = 'n0' ORDER BY time")
    table = cursor.fetch_arrow_table()
    assert table.column_names[:6] == ["time", "name", "count", "sum", "min", "max"], table.column_names
    assert table.num_rows == 20 and table["count"].to_pylist() == [5] * 20, table
    assert set(table["zone"].to_pylist()) == {"a"}


def check_stack(cursor):
    cursor.execute(
        "SELECT * FROM stack('name,speed,:eq,:sum,(,zone,),:by', '2026-01-05T00:00', '2026-01-05T01:00', '60s') ORDER BY time, zone"
    )
    rows = cursor.fetch_arrow_table().to_pylist()
    assert len(rows) == 120, len(rows)
    assert [(row["zone"], row["value"]) for row in rows[:2]] == [("a", 3.0), ("b", 7.0)], rows[:2]


def check_prepared(cursor):
    statement = "SELECT count(*) FROM metrics WHERE node = 'n1'"
    schema = cursor.adbc_prepare(statement)
    assert schema is None or len(schema) == 0, schema
    cursor.execute(statement)
    assert cursor.fetchone() == (100,)


def check_refusals(cursor):
    for statement, reason in [
        ("DROP TABLE metrics", "for reading"),
        ("SELECT no_such_column FROM metrics", "no_such_column"),
        ("SELEC 1", "SELEC"),
    ]:
        try:
            cursor.execute(statement)
            cursor.fetchall()
        except adbc_driver_manager.Error as error:
            assert reason in str(error), (statement, error)
        else:
            raise AssertionError(f"{statement} was not refused")


def check_metadata(connection):
    assert connection.adbc_get_info()["vendor_name"] == "Hesper", connection.adbc_get_info()
    assert connection.adbc_get_table_types() == ["TABLE"]
    objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
    schemas = [schema for catalog in objects for schema in catalog["catalog_db_schemas"]]
    tables = [table["table_name"] for schema in schemas for table in schema["db_schema_tables"]]
    assert sorted(tables) == ["metrics", "metrics_1h", "metrics_5m"], tables
    schema = connection.adbc_get_table_schema("metrics")
    assert {"time", "name", "value", "node", "zone"} <= set(schema.names), schema


if __name__ == "__main__":
    main(sys.argv[1])
