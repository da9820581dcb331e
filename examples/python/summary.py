#!/usr/bin/env python3
"""summary.py: what is in one column of a CSV file. Standard library only.

It writes the result as OUT/result.json, and the most frequent values as OUT/top.csv. A file is read once, line by line;
memory grows with the number of different values, of which it counts the first 100,000.
"""

import argparse
import csv
import itertools
import json
import math
import os
import sys

MOST_VALUES = 100_000


def arguments():
    parser = argparse.ArgumentParser(description="What is in one column of a CSV file.", allow_abbrev=False)
    parser.add_argument("--column", default="", help="its name, or its number without a header; empty is the first")
    parser.add_argument("--header", choices=["true", "false"], default="true")
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("input")
    parser.add_argument("out")
    return parser.parse_args()


def rows(path):
    """The file's rows, with a line of progress for each hundredth of its bytes."""
    size, told = max(os.path.getsize(path), 1), 0
    with open(path, "rb") as file:

        def lines():
            nonlocal told
            read = 0
            for line in file:
                read += len(line)
                if read * 100 // size > told:
                    told = read * 100 // size
                    print(f"fileyard:progress {told / 100} reading", flush=True)
                yield line.decode("utf-8-sig" if read == len(line) else "utf-8", "replace").replace("\0", "\ufffd")

        source = lines()
        first = next(source, "")
        delimiter = max(",;\t", key=first.count)
        try:
            yield from csv.reader(itertools.chain([first] if first else [], source), delimiter=delimiter)
        except csv.Error as error:
            sys.exit(f"this is no CSV file: {error}")


def place(asked, header):
    """The column's index, or the end of the program and what it should have been."""
    if header is not None and asked in header:
        return header.index(asked)
    if asked == "":
        return 0
    if header is None and asked.isdecimal() and int(asked) >= 1:
        return int(asked) - 1
    known = "a number from 1 on" if header is None else "one of " + ", ".join(map(repr, header[:50]))
    sys.exit(f"there is no column {asked!r}: it must be {known}")


def number(text):
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def main():
    asked = arguments()
    source = rows(asked.input)
    header = next(source, None) if asked.header == "true" else None
    index = place(asked.column, header)
    counts, empty, other, numbers, total, least, most, all_rows = {}, 0, 0, 0, 0.0, math.inf, -math.inf, 0
    for row in source:
        all_rows += 1
        text = row[index].strip() if index < len(row) else ""
        if not text:
            empty += 1
            continue
        if text in counts or len(counts) < MOST_VALUES:
            counts[text] = counts.get(text, 0) + 1
        else:
            other += 1
        value = number(text)
        if value is not None:
            numbers, total = numbers + 1, total + value
            least, most = min(least, value), max(most, value)
    top = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: asked.top]
    result = {
        "column": header[index] if header and index < len(header) else str(index + 1),
        "rows": all_rows,
        "empty": empty,
        "numbers": numbers,
        "min": least if numbers else None,
        "max": most if numbers else None,
        "mean": total / numbers if numbers and math.isfinite(total) else None,
        "distinct": len(counts),
        "not_counted": other,
    }
    with open(os.path.join(asked.out, "top.csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["value", "count"])
        writer.writerows(top)
    with open(os.path.join(asked.out, "result.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False)


if __name__ == "__main__":
    main()
