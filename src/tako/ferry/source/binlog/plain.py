"""Values out of the log's bytes, as the source prints them when it is asked for the column alone.

Sources: MySQL's include/my_time.h and mysys/my_time.cc (packed times), strings/decimal.cc (decimals),
strings/dtoa.cc (my_gcvt: numbers).
"""

import struct
import zlib
from uuid import UUID

DIGITS = 9  # decimal digits in four bytes
_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


def decimal_size(precision: int, scale: int) -> int:
    """Bytes of a DECIMAL(precision, scale)."""
    whole = precision - scale
    return whole // DIGITS * 4 + _BYTES[whole % DIGITS] + scale // DIGITS * 4 + _BYTES[scale % DIGITS]


def decimal(data: bytes, precision: int, scale: int) -> bytes:
    """Groups of nine digits from the high end; negative numbers have all bits turned, the first bit is the sign's."""
    if len(data) != decimal_size(precision, scale):
        raise ValueError("a decimal is cut off")
    negative = not data[0] & 0x80
    data = bytes((data[0] ^ 0x80,)) + data[1:]
    if negative:
        data = bytes(byte ^ 0xFF for byte in data)
    whole = precision - scale
    at = _BYTES[whole % DIGITS]
    digits = [_group(data[:at], whole % DIGITS)]
    for _ in range(whole // DIGITS):
        digits.append(_group(data[at : at + 4], DIGITS))
        at += 4
    fraction = []
    for _ in range(scale // DIGITS):
        fraction.append(_group(data[at : at + 4], DIGITS))
        at += 4
    fraction.append(_group(data[at:], scale % DIGITS))
    said = (b"".join(digits).lstrip(b"0") or b"0") + (b"." + b"".join(fraction) if scale else b"")
    return b"-" + said if negative else said


def _group(data: bytes, digits: int) -> bytes:
    if not digits:
        return b""
    said = b"%0*d" % (digits, int.from_bytes(data, "big"))
    if len(said) != digits:
        raise ValueError("a decimal has more digits than it may")
    return said


def date(packed: int) -> bytes:
    """Three bytes: day in 5 bits, month in 4, year."""
    return b"%04d-%02d-%02d" % (packed >> 9, packed >> 5 & 15, packed & 31)


def moment(packed: int) -> bytes:
    """Year and month in 17 bits, day 5, hour 5, minute 6, second 6."""
    days, seconds = packed >> 17, packed & 0x1FFFF
    year, month = divmod(days >> 5, 13)
    return b"%04d-%02d-%02d %02d:%02d:%02d" % (
        year,
        month,
        days & 31,
        seconds >> 12,
        seconds >> 6 & 63,
        seconds & 63,
    )


def datetime(data: bytes, fraction: int) -> bytes:
    """DATETIME2: five bytes from the high end, half of their range added; then the fraction."""
    said = moment(int.from_bytes(data[:5], "big") - 0x8000000000)
    return said + _fraction(int.from_bytes(data[5:], "big"), fraction)


def timestamp(data: bytes, fraction: int) -> bytes:
    """TIMESTAMP2: seconds in UTC from the high end; then the fraction. 0 is the zero date, not 1970."""
    seconds = int.from_bytes(data[:4], "big")
    rest = _fraction(int.from_bytes(data[4:], "big"), fraction)
    if not seconds:
        return b"0000-00-00 00:00:00" + rest
    days, left = divmod(seconds, 86_400)
    year, month, day = _civil(days)
    return b"%04d-%02d-%02d %02d:%02d:%02d" % (year, month, day, left // 3600, left // 60 % 60, left % 60) + rest


def _civil(days: int) -> tuple[int, int, int]:
    """Howard Hinnant's civil_from_days, for days since 1970: no calendar object per value."""
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, day


def time(data: bytes, fraction: int) -> bytes:
    """TIME2: three bytes and the fraction as one number, half of the range added: negatives carry over all bytes."""
    size = 8 * len(data)
    packed = int.from_bytes(data, "big") - (1 << size - 1)
    sign, packed = (b"-", -packed) if packed < 0 else (b"", packed)
    bits = size - 24
    whole, rest = packed >> bits, packed & (1 << bits) - 1
    said = b"%s%02d:%02d:%02d" % (sign, whole >> 12 & 0x3FF, whole >> 6 & 63, whole & 63)
    return said + _fraction(rest, fraction)


def _fraction(value: int, digits: int) -> bytes:
    """Stored with an even number of digits, shown with `digits`."""
    if not digits:
        return b""
    if digits & 1:
        value //= 10
    return b".%0*d" % (digits, value)


def single(data: bytes) -> float:
    return float(struct.unpack("<f", data)[0])


def double(value: float) -> bytes:
    """The shortest digits of this number; with an exponent outside of 1e-15 … 1e15, unless digits follow the point."""
    said = repr(value)
    if "e" not in said and value == int(value) and abs(value) < 1e15:
        return said.removesuffix(".0").encode()
    mantissa, _, power = said.lstrip("-").partition("e")
    sign = "-" if said.startswith("-") else ""
    if mantissa in ("inf", "nan"):
        raise ValueError("a number is none of MySQL's")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0") or "0"
    point = len(whole) + int(power or 0) - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    digits = digits.rstrip("0") or "0"
    if (point > 15 and len(digits) <= point) or point < -14:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{point - 1}".encode()
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}".encode()
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}".encode()
    return f"{sign}{digits[:point]}.{digits[point:]}".encode()


def fixed(value: float, scale: int) -> bytes:
    """DOUBLE(m, d): d digits behind the point."""
    return b"%.*f" % (scale, value)


def bits(value: int, width: int) -> bytes:
    return format(value, f"0{width}b").encode()


def uncompressed(data: bytes) -> bytes:
    """MariaDB's COMPRESSED columns: 0 and the bytes, or 0x80, 8 for no head of zlib's, the width of the length that
    follows from its high byte on (Field_longstr::uncompress)."""
    if not data or data[0] == 0:
        return data[1:]
    wide = data[0] & 7
    if data[0] & 0xF0 != 0x80 or not 1 <= wide <= 4:
        raise ValueError("a column is compressed in a way that is not known")
    size = int.from_bytes(data[1 : 1 + wide], "big")
    made = zlib.decompressobj(-zlib.MAX_WBITS if data[0] & 8 else zlib.MAX_WBITS)
    found = made.decompress(data[1 + wide :], size + 1)
    if len(found) != size:
        raise ValueError("a compressed column is not as long as it was")
    return found


def uuid(data: bytes) -> bytes:
    """MariaDB's: sixteen bytes as they are written, whatever order its own files have."""
    return str(UUID(bytes=data)).encode()
