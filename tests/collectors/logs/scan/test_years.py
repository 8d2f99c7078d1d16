from __future__ import annotations

from datetime import datetime

from collectors.logs.scan.years import resolve


def at(*date: int) -> float:
    return datetime(*date).timestamp()  # type: ignore[arg-type]  # noqa: DTZ001 — lines have no zone either


def years_of(texts: list[bytes], reference: float) -> list[int]:
    return [datetime.fromtimestamp(found).year for found in resolve(texts, reference) if found is not None]  # noqa: DTZ006


def test_years_are_inferred_backwards_from_the_mtime() -> None:
    texts = [b"Nov  3 10:00:00", b"Dec 31 23:59:59", b"Jan  1 00:00:00", b"Dec 30 10:00:00", b"Jan  2 10:00:00", b"Mar  1 09:00:00"]
    assert years_of(texts, at(2024, 3, 1, 9, 0, 1)) == [2022, 2022, 2023, 2023, 2024, 2024]


def test_a_line_slightly_newer_than_its_file_is_not_a_year_older() -> None:
    assert resolve([b"Mar  1 12:00:00"], at(2024, 3, 1, 9)) == [at(2024, 3, 1, 12)]
    assert resolve([b"Mar  5 12:00:00"], at(2024, 3, 1, 9)) == [at(2023, 3, 5, 12)]


def test_lines_slightly_out_of_order_keep_their_year() -> None:
    texts = [b"Mar  1 12:00:05", b"Mar  1 12:00:03", b"Mar  1 12:00:04"]
    assert years_of(texts, at(2024, 3, 2)) == [2024, 2024, 2024]


def test_a_wrong_clock_at_boot_does_not_change_the_year() -> None:
    texts = [b"Jul  4 10:00:00", b"Jan  1 00:00:07", b"Jan  1 00:00:09", b"Jul  4 10:01:00", b"Jul  5 10:00:00"]
    assert years_of(texts, at(2024, 7, 6)) == [2024] * 5


def test_a_leap_day_is_in_a_leap_year() -> None:
    assert resolve([b"Feb 29 10:00:00"], at(2023, 5, 1)) == [at(2020, 2, 29, 10)]


def test_a_year_in_the_line_is_used_and_no_time_is_none() -> None:
    texts = [b"2019-07-22T11:01:55.5+00:00", b"", b"Foo 99 10:00:00", b"Tue Sep 24 22:56:32 2019"]
    assert resolve(texts, at(2024, 7, 6)) == [1563793315.5, None, None, at(2019, 9, 24, 22, 56, 32)]


def test_lines_in_no_order_have_the_latest_possible_year() -> None:
    newest_first = [b"%s %2d 10:00:00" % (month, day) for month in (b"Jun", b"Mar", b"Jan") for day in range(28, 0, -2)]
    assert set(years_of(newest_first, at(2024, 7, 6))) == {2024}
