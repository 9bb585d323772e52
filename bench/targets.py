"""The product's targets, and how a report stands against them."""

from __future__ import annotations

from typing import Any

# (path into the report, least or greatest, bound, unit)
TARGETS: tuple[tuple[tuple[str, ...], str, float, str], ...] = (
    (("models", "mlp", "ratio"), ">=", 300.0, "x"),
    (("models", "cnn1d", "ratio"), ">=", 200.0, "x"),
    (("models", "cnn2d", "ratio"), ">=", 150.0, "x"),
    (("models", "mlp", "ezkl_lane", "ratio"), ">=", 6.0, "x"),
    (("models", "cnn2d", "ezkl_lane", "ratio"), ">=", 1.0, "x"),
    *(
        (("models", name, "gnark", "ratio_a_row"), ">=", bound, "x")
        for name, bound in (
            ("mlp", 1.25),
            ("cnn1d", 3.5),
            ("cnn2d", 3.5),
        )
    ),
    (("models", "trees", "prove_ms"), "<=", 150.0, "ms"),
    *((("models", name, "proof_bytes"), "<=", 256.0, "B") for name in ("mlp", "cnn1d", "cnn2d", "trees")),
    *((("models", name, "verify_ms_p95"), "<=", 2.0, "ms") for name in ("mlp", "cnn1d", "cnn2d", "trees")),
    *((("models", name, "setup_s"), "<=", 15.0, "s") for name in ("mlp", "cnn1d", "cnn2d", "trees")),
    *((("models", name, "prover_rss_mb"), "<=", 100.0, "MB") for name in ("mlp", "cnn1d", "cnn2d", "trees")),
    (("proven_per_second",), ">=", 250.0, "/s"),
    (("batch_verify_ms",), "<=", 0.6, "ms"),
    (("gas", "single"), "<=", 240_000.0, "gas"),
    (("gas", "per_inference_at_32"), "<=", 9_000.0, "gas"),
    (("gas", "per_proof_of_16"), "<=", 80_000.0, "gas"),
)


def verdicts(report: dict[str, Any]) -> list[str]:
    """One line a target: the figure, the bound, pass or by how much it is missed."""
    lines = []
    for path, sense, bound, unit in TARGETS:
        found: Any = report
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        if found is None:
            continue
        passed = found >= bound if sense == ">=" else found <= bound
        verdict = "pass" if passed else f"MISS by {abs(found / bound - 1):.0%}"
        lines.append(f"{'.'.join(path):<32}{found:>12.2f} {unit:<4} {sense} {bound:<10g}{verdict}")
    return lines
