"""Tables as text: per layer of a build, per artefact of a verification. Readable at 80 columns, complete at 120."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def columns(rows: Sequence[Sequence[str]], header: Sequence[str], left: Sequence[int] = (0,)) -> str:
    """``rows`` under ``header``, in columns of equal width; the columns in ``left`` are left-aligned, the others right-aligned."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = (cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def count(number: float) -> str:
    """12345678 -> ``12.3M``; exact below 10,000."""
    if number < 10_000:
        return str(int(number))
    for unit in ("k", "M", "G"):
        number /= 1000
        if number < 1000 or unit == "G":
            return f"{number:.0f}{unit}" if number >= 100 else f"{number:.1f}{unit}"
    raise AssertionError


def size(number: int) -> str:
    """Bytes as B, KiB or MiB."""
    if number < 10_240:
        return f"{number} B"
    return f"{number / 1024:.1f} KiB" if number < 10 * 1024 * 1024 else f"{number / 1024**2:.1f} MiB"


def _op(row: Mapping[str, Any]) -> str:
    """``conv + threshold`` as ``conv+thr``, to save columns."""
    return str(row["op"]).replace(" + ", "+").replace("threshold", "thr")


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"…{text[-(width - 1) :]}"


def layer_table(manifest: Mapping[str, Any], width: int = 120) -> str:
    """The per-layer table of a build's manifest, with totals: all columns where they fit, else the main ones; names give way first."""
    for wide in (True, False):
        for name_width in (24, 20, 16, 12, 8):
            table = _layers(manifest["layers"], wide, name_width)
            if max(map(len, table.splitlines())) <= width:
                return table + "\n" + footer(manifest)
    return table + "\n" + footer(manifest)


def _layers(layers: Sequence[Mapping[str, Any]], wide: bool, name_width: int) -> str:
    rows = []
    for index, row in enumerate(layers):
        head = [str(index), _shorten(row["name"], name_width), _op(row)]
        macs = [count(row["macs_1b"]) if row["macs_1b"] else "", count(row["macs_8b"]) if row["macs_8b"] else ""]
        bits = f"{row['weight_bits'] or '-'}x{row['activation_bits']}"
        tail = [str(row["constant_bytes"]), str(row["arena_bytes"])]
        if wide:
            rows.append([*head, row["input"], row["output"], row["window"], *macs, bits, count(row["parameters"]), *tail])
        else:
            rows.append([*head, row["output"], *macs, bits, *tail])
    if wide:
        header = ["#", "name", "op", "in", "out", "k/stride", "MACs 1b", "MACs 8b", "wxa b", "params", "const B", "arena B"]
    else:
        header = ["#", "name", "op", "out", "1b", "8b", "wxa b", "const B", "arena B"]
    return columns(rows, header, (1, 2))


def footer(manifest: Mapping[str, Any]) -> str:
    """Totals of a build: work, memory, proof, identity."""
    totals, proof = manifest["totals"], manifest["proof"]
    share = totals["binary_macs"] / totals["macs"] if totals["macs"] else 0.0
    bound = f" (no plan can be below {size(totals['arena_lower_bound'])})" if totals["arena_lower_bound"] else ""
    lines = [
        f"MACs        {count(totals['macs'])} for one image, {share:.1%} of them 1-bit; {count(totals['parameters'])} weights",
        f"flash       {size(totals['constant_bytes'])} of constants",
        *_weights(totals),
        f"RAM         {size(totals['arena_bytes'])} of arena{bound}",
        f"arithmetic  {'integers and binary32 by formula' if manifest['computes_in_float'] else 'integers only'}",
    ]
    if proof is not None:
        lines.append(
            f"thresholds  {proof['channels']:,} channels, {proof['accumulators']:,} accumulators checked, {proof['violations']} violations"
        )
    if manifest.get("islands"):
        lines.append(f"islands     {', '.join(manifest['islands'])}: sums of floats, in one written order on every backend")
    lines += departure_lines(manifest.get("departures", ()))
    if manifest.get("model_id"):
        name = f"{manifest['name']}, " if manifest["name"] else ""  # a packed model does not know it
        lines.append(f"model       {name}id {manifest['model_id']}")
    return "\n".join(lines)


def _weights(totals: Mapping[str, Any]) -> list[str]:
    """Bits of a weight, as stored and as the values need; no line for a manifest of an older version."""
    if not totals.get("weight_bytes") or not totals["parameters"]:
        return []
    stored, needed = (8 * totals[key] / totals["parameters"] for key in ("weight_bytes", "weight_information_bytes"))
    return [f"weights     {size(totals['weight_bytes'])} of them, {stored:.2f} bits each ({needed:.2f} at least)"]


def departure_lines(departures: Sequence[Mapping[str, Any]]) -> list[str]:
    """What keeps the artefacts from torch's own bits, a line for each reason with the layers that it holds for."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in departures:
        reasons.setdefault((each["what"], each["remedy"]), []).append(each["layer"])
    lines = []
    for (what, remedy), layers in reasons.items():
        names = ", ".join(layers[:_MOST]) + (f" and {len(layers) - _MOST} more" if len(layers) > _MOST else "")
        lines.append(f"departure   {names}: {what}; to have torch's bits, {remedy}")
    return lines


_MOST, _MOST_CHANGES = 3, 20


def verify_table(report: Mapping[str, Any]) -> str:
    """The rows of `verify`'s JSON as a table, then what the three claims came to."""
    rows = []
    for row in report["rows"]:
        if row.get("not_run"):
            cells = ["-", "-", "-", "-"]
        else:
            cells = [row["inputs"], f"{row['images']:,}", f"{row['differing_bits']:,}", _correct(row)]
        rows.append([row["artefact"], row["runner"], row["kernels"], *cells])
    text = columns(rows, ["artefact", "runner", "kernels", "inputs", "images", "differing bits", "correct"], (0, 1, 2, 3))
    text += "".join(f"\nnot run: {row['artefact']} on {row['runner']}: {row['not_run']}" for row in report["rows"] if row.get("not_run"))
    trained, proof = report["trained"], report["proof"]
    if trained["correct"] is not None:
        share = trained["correct"] / trained["images"] if trained["images"] else 0.0
        text += f"\ntrained model: {trained['correct']:,} of {trained['images']:,} correct ({share:.2%})"
        text += f"; predictions changed: {trained['changed_total']}"
    if report["ties"]:
        text += f"\ngenerated: {report['ties']:,} accumulators of the first layer on or beside a threshold"
    if proof is not None:
        text += (
            f"\nthresholds: {proof['channels']} channels, {proof['accumulators']:,} accumulators checked, {proof['violations']} violations"
        )
    for finding in report["divergence"]:
        text += f"\nfirst divergence: {finding}"
    if not report.get("departures"):
        return text + ("\nbit-exact: 0 differing bits" if report["ok"] else "\nNOT bit-exact")
    text += "".join(f"\n{line}" for line in departure_lines(report["departures"]))
    text += (
        f"\nagainst torch: {trained['equal_images']:,} of {trained['compared']:,} inputs bit-equal, predictions changed: "
        f"{trained['changed_total']}, largest difference of a logit {trained['largest_difference']:.3g}"
    )
    for change in trained["changed"][:_MOST_CHANGES]:
        text += f"\nchanged: {change['inputs']} {change['image']}, class {change['trained']} -> {change['artefact_class']}"
        text += f", torch's margin {change['margin']:.3g}"
    if trained["changed_total"] > _MOST_CHANGES:
        text += f"\nchanged: and {trained['changed_total'] - _MOST_CHANGES} more, all with --json"
    layers = len(report["departures"])
    return text + (
        f"\nartefacts equal one another: 0 differing bits; {layers} departure{'s' if layers > 1 else ''} from torch"
        if report["ok"]
        else "\nNOT bit-exact: the artefacts differ from one another"
    )


def _correct(row: Mapping[str, Any]) -> str:
    return "-" if row["correct"] is None else f"{row['correct']:,}"


def layer_counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """`verify --layers`: elements that differ from the reference, per operator."""
    cells = [[row["runner"], row["kernels"], row["layer"], row["op"], f"{row['elements']:,}", f"{row['differing']:,}"] for row in rows]
    return columns(cells, ["runner", "kernels", "layer", "ends in", "values", "differing"], (0, 1, 2, 3))


def bench_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `bench`'s JSON."""
    cells = []
    for row in rows:
        speed = f"{row['gmacs_per_s']:.1f}"
        ratio = [f"{row['ratio']:.2f}x"] if "ratio" in row else []
        cells.append(
            [
                row["name"],
                row["runner"],
                row["kernels"],
                f"{row['median_ms']:.3f}",
                f"{row['p95_ms']:.3f}",
                count(row["macs"]),
                speed,
                *ratio,
            ]
        )
    header = ["name", "runner", "kernels", "median ms", "p95 ms", "MACs", "GMAC/s", *(["speed-up"] if rows and "ratio" in rows[0] else [])]
    return columns(cells, header, (0, 1, 2))


def bench_layers(rows: Sequence[Mapping[str, Any]]) -> str:
    """Time of each operator and, where the core's clock is known, the share of what its instructions allow; one table per kernel family."""
    tables = []
    for row in rows:
        total = sum(layer["median_us"] for layer in row["layers"]) or 1.0
        cells = []
        for layer in row["layers"]:
            speed = f"{layer['mac_per_cycle']:.1f}" if layer["macs"] and layer["mac_per_cycle"] else ""
            share = f"{layer['mac_per_cycle'] / layer['limit']:.0%}" if speed and layer["limit"] else ""
            times = [f"{layer['median_us']:.1f}", f"{layer['p95_us']:.1f}", f"{layer['median_us'] / total:.1%}"]
            rate = f"{layer['macs'] / layer['median_us'] / 1e3:.1f}" if layer["macs"] and layer["median_us"] else ""
            cells.append([layer["name"], layer["op"], count(layer["macs"]), *times, rate, speed, share])
        if cells:
            header = ["layer", "op", "MACs", "median us", "p95 us", "share", "GMAC/s", "MAC/cycle", "of limit"]
            tables.append(f"{row['runner']}, {row['kernels']}\n" + columns(cells, header, (0, 1)))
    return "\n\n".join(tables)


def inspect_text(value: Mapping[str, Any], width: int = 120) -> str:
    """`inspect`'s JSON for people."""
    lines = [f"{value['kind']}: {value['file']}"]
    if "layers" in value and "proof" in value:
        return "\n".join([*lines, layer_table(value, width)])
    for key, item in value.items():
        if key in ("kind", "file", "schema_version") or isinstance(item, list):
            continue
        if isinstance(item, dict):
            item = ", ".join(f"{name} {number}" for name, number in item.items())
        lines.append(f"{key.replace('_', ' '):<18} {item}")
    return "\n".join(lines)
