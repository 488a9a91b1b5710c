"""What is counted in the source's rows before anything is planned: what PostgreSQL refuses, or reads differently."""

from dataclasses import dataclass

from tako.ferry.schema import DATES, INTEGERS, TEXT, Column
from tako.ferry.translate.names import mysql
from tako.ferry.translate.types import UNCONVERTED, invalid_date, zero_date

BIGINT = 2**63


@dataclass(frozen=True, slots=True)
class Count:
    """`condition` is true (1) of the rows that are counted."""

    column: str
    code: str
    condition: str

    @property
    def sql(self) -> str:
        return f"COALESCE(SUM({self.condition}),0)"


def counts(column: Column) -> list[Count]:
    """What has to be counted of one column."""
    if column.generated:
        return []
    name = mysql(column.name)
    found: dict[str, str] = {}
    if column.base in INTEGERS:
        found["not_boolean"] = f"{name} NOT IN (0,1)"
        found["values"] = f"{name} IS NOT NULL"
    if column.base == "bigint" and column.unsigned:
        found["beyond_bigint"] = f"{name}>={BIGINT}"
    if column.base == "bit":
        found["beyond_bigint"] = f"{name}+0>={BIGINT}"
    if column.base in ("int", "smallint") and column.unsigned:
        found["beyond_signed"] = f"{name}>={2 ** (8 * INTEGERS[column.base] - 1)}"
    if column.base in DATES:
        found["zero_date"] = zero_date(name)
    if column.base in ("date", "datetime"):
        found["invalid_date"] = invalid_date(name)
    if column.base == "enum":
        found["empty_enum"] = f"{name}+0=0"
    if column.base == "time":
        found["beyond_day"] = f"({name}<'00:00:00' OR {name}>='24:00:00')"
    if column.base in TEXT or column.base == "json":
        found |= _texts(column, name)
    return [Count(column.name, code, condition) for code, condition in found.items()]


def _texts(column: Column, name: str) -> dict[str, str]:
    if column.base == "json":
        return {"nul": f"LOCATE('\\\\u0000',CAST({name} AS CHAR))>0"}
    data = f"CAST({name} AS BINARY)"
    text = data if column.charset in UNCONVERTED else f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"
    found = {"nul": f"LOCATE(X'00',{text})>0"}
    if column.json:
        found["nul"] = f"({found['nul']} OR LOCATE('\\\\u0000',{name})>0)"
    if column.charset in UNCONVERTED:
        # What is not UTF-8 becomes a question mark, or the text ends there, by server; either way it is not the same.
        found["invalid_utf8"] = f"CAST(CONVERT({data} USING utf8mb4) AS BINARY)<>{data}"
    elif column.charset == "latin1":
        converted = f"CAST(CONVERT({data} USING utf8mb4) AS BINARY)"
        found["looks_utf8"] = f"(LENGTH({name})<>LENGTH(CONVERT({name} USING utf8mb4)) AND {converted}={data})"
    else:
        there = f"CONVERT({name} USING utf8mb4)"
        found["invalid_charset"] = f"CAST(CONVERT({there} USING {column.charset}) AS BINARY)<>{data}"
    return found
