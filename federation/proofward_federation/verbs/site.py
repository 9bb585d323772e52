"""`proofward federation …` without a chain: a site's rules, a study's price, a rehearsal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofward.cli.amounts import finite
from proofward.cli.output import (
    JsonOption,
    emit,
    hex0x,
    note,
    reporting,
)
from proofward_federation.verbs.options import StudyArgument, study_of

PolicyArgument = Annotated[Path, typer.Argument(metavar="SITE.TOML", help="The site's own rules.")]


def policy(path: PolicyArgument, as_json: JsonOption = False) -> None:
    """Read a site's rules, print their hash and the numbers that the chain holds it to.

    Example: proofward federation policy site.toml
    """
    from proofward.chain.accounts import ss58
    from proofward_federation.policy import SitePolicy

    with reporting(as_json):
        found = SitePolicy.load(path)
        values = {
            "name": found.name,
            "policy": found.hash,
            "yearly_nano_rho": found.yearly,
            "round_nano_rho": found.round,
            "cohort": found.cohort,
            "peers": {"least": found.least, "of": sorted(map(ss58, found.peers))},
            "purposes": sorted(found.purposes),
            "purpose_bits": found.purpose_bits,
        }
        emit(
            as_json,
            values,
            [
                f"{found.name}: policy {hex0x(found.hash)}",
                f"a year: {found.yearly / 1e9:.4f} rho; a round: at most {found.round / 1e9:.4f} rho",
                f"sums of {found.cohort} sites or more, for {', '.join(sorted(found.purposes))}",
                f"{found.least} or more of its {len(found.peers)} peers in each sum, by their signatures",
            ],
        )


def admit(path: PolicyArgument, study: StudyArgument, as_json: JsonOption = False) -> None:
    """Say whether a site with these rules takes part in a study, or which rule it breaks (exit code 1).

    Example: proofward federation admit site.toml study.json
    """
    from proofward_federation.policy import SitePolicy

    with reporting(as_json):
        found, asked = SitePolicy.load(path), study_of(study)
        found.admit(asked)
        emit(
            as_json,
            {"admitted": True, "rule": asked.rule, "round_nano_rho": asked.rho},
            [f"{found.name} takes part in {asked.name!r}: {asked.rho / 1e9:.4f} rho a round"],
        )


def budget(
    study: StudyArgument,
    delta: Annotated[
        float, typer.Option(min=1e-12, max=1e-3, callback=finite, help="At which epsilon is told.")
    ] = 1e-5,
    as_json: JsonOption = False,
) -> None:
    """Print what a study's rounds cost, in rho and as epsilon.

    Example: proofward federation budget study.json
    """
    from proofward_federation.budget import epsilon_of

    with reporting(as_json):
        asked = study_of(study)
        total = asked.rho * asked.rounds
        values = {
            "round_nano_rho": asked.rho,
            "rounds": asked.rounds,
            "total_nano_rho": total,
            "budget_nano_rho": asked.budget,
            "epsilon": epsilon_of(total, delta),
            "delta": delta,
        }
        emit(
            as_json,
            values,
            [
                f"a round: {asked.rho / 1e9:.6f} rho; {asked.rounds} rounds: {total / 1e9:.6f} rho",
                f"epsilon {epsilon_of(total, delta):.4f} at delta {delta:g}, for each record",
                f"the study's budget: {asked.budget / 1e9:.6f} rho, for {asked.budget // asked.rho} rounds",
            ],
        )


def watch(
    series: Annotated[
        Path, typer.Argument(metavar="COUNTS.CSV", help="Published counts: a row a week, a column a cell.")
    ],
    deviation: Annotated[
        float, typer.Option(min=0, callback=finite, help="Of the published noise, in ones.")
    ],
    threshold: Annotated[
        float, typer.Option(min=0.1, callback=finite, help="Deviations above the baseline.")
    ] = 3.0,
    as_json: JsonOption = False,
) -> None:
    """Name the weeks, from 0, in which a published count is far above those before it (EARS C2).

    An alarm is a reason to look, not an outbreak; the first nine weeks have no baseline.

    Example: proofward federation watch counts.csv --deviation 4.8
    """
    from proofward.tables.reader import read_table
    from proofward_federation.outbreak import alarms

    with reporting(as_json):
        table = read_table(series)
        found = {
            table.column(place): alarms(table.values[:, place].tolist(), deviation, threshold)
            for place in range(table.columns)
        }
        lines = [f"{name}: {', '.join(map(str, weeks)) or 'nothing'}" for name, weeks in found.items()]
        emit(as_json, {"weeks": len(table.values), "alarms": found}, lines)


def rehearse(
    study: StudyArgument,
    sites: Annotated[
        list[Path],
        typer.Argument(help="Folders with site.toml, a table of records, consents.json (each a site)."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Where to write transcript.json and model.json.")],
    as_json: JsonOption = False,
) -> None:
    """Run a whole study on this machine, without chain or network; its rounds, sums and proofs are real.

    It needs OpenDP (`make federation`: then as `build/federation/bin/python -m proofward.cli`).

    Example: proofward federation rehearse study.json sites/* --out run
    """
    import json

    from proofward.files import write_whole
    from proofward_federation.folder import read_site
    from proofward_federation.rehearsal import NOT_SHOWN
    from proofward_federation.rehearsal import rehearse as run

    with reporting(as_json):
        asked = study_of(study)
        note(as_json, NOT_SHOWN)
        done = run(asked, [read_site(folder) for folder in sites], lambda line: note(as_json, line))
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        done.transcript.save(out / "transcript.json")
        model = {"rule": asked.rule.hex(), "weights": done.weights.tolist(), "not_shown": NOT_SHOWN}
        write_whole(out / "model.json", json.dumps(model, indent=1).encode())
        values = {"rounds": len(done.transcript.rounds), "refused": done.refused, "not_shown": NOT_SHOWN}
        emit(as_json, values, [f"{out}: transcript.json and model.json, {values['rounds']} rounds"])


def audit(
    transcript: Annotated[Path, typer.Argument(metavar="TRANSCRIPT.JSON", help="What `rehearse` wrote.")],
    as_json: JsonOption = False,
) -> None:
    """Check a study's rounds offline: exact sums, proofs of length, signatures, the budget.

    Example: proofward federation audit run/transcript.json
    """
    from proofward_federation.transcript import Transcript
    from proofward_federation.transcript import audit as check

    with reporting(as_json):
        lines = check(Transcript.load(transcript))
        unchecked = (
            "not checked: whether the receipt key is an attested enclave's, whether noise came before "
            "updates, how many consents a site has; no chain was read"
        )
        emit(as_json, {"holds": True, "checks": lines, "unchecked": unchecked}, [*lines, unchecked])


def seal_records(
    folder: Annotated[
        Path, typer.Argument(help="A hospital's, with its table of records, which is removed.")
    ],
    as_json: JsonOption = False,
) -> None:
    """As a hospital: put its records into a vault, each record under a key of its own, to erase one by it.

    records.csv, .parquet or .json is removed once every record opens again; copies of it elsewhere are not.

    Example: proofward federation seal-records cleveland
    """
    import numpy as np

    from proofward_federation.errors import FederationError
    from proofward_federation.folder import read_table_of, table_of
    from proofward_federation.vault import Vault

    with reporting(as_json):
        table = table_of(folder)
        records = read_table_of(folder)
        Vault.seal(folder, records)
        try:
            found = Vault.load(folder).open()
            same = found.names == records.names and all(
                np.array_equal(found.columns[name], values, equal_nan=True)
                for name, values in records.columns.items()
            )
            if not same:
                raise FederationError(
                    "the vault does not give the records back: kept the table, and no vault", code="bad-vault"
                )
        except FederationError:
            Vault.remove(folder)
            raise
        table.unlink()
        emit(as_json, {"records": len(found.names)}, [f"{len(found.names)} records, each under its own key"])


def measurement(as_json: JsonOption = False) -> None:
    """Print the measurement that a simulated aggregator of the software installed here has in its quotes.

    It needs OpenDP (`make federation`: then as `build/federation/bin/python -m proofward.cli`).

    Example: proofward federation measurement
    """
    from proofward_federation.measure import simulated_measurement

    with reporting(as_json):
        found = simulated_measurement()
        emit(as_json, {"measurement": found, "level": "simulated"}, [hex0x(found)])
