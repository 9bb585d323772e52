"""`proofward statement setup|prove|accuracy|show|verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from proofward.cli.models import IgnoreExtra, TruthOption, records_of
from proofward.cli.output import (
    DEFAULT_CHAIN,
    ChainOption,
    DevOption,
    JsonOption,
    emit,
    hex0x,
    note,
    reporting,
)
from proofward.cli.verdicts import EXITS, tell
from proofward.files import sibling

if TYPE_CHECKING:
    from proofward.evidence.verdict import Verdict
    from proofward.statements.meaning import Subject

app = typer.Typer(
    no_args_is_help=True, help="Prove one sentence about committed outputs or inputs, and nothing else."
)

ThatOption = Annotated[str, typer.Option("--that", help='The sentence, e.g. "risk >= 0.85".')]
OfOption = Annotated[str, typer.Option("--of", help="output or input: what the sentence is about.")]
ArtifactOption = Annotated[Path, typer.Option(help="The model's public artefact.")]
JobsOption = Annotated[int, typer.Option(help="About how many jobs the sentence is, 1 to 32.")]
KeyOption = Annotated[
    Path | None,
    typer.Option(help="The folder of the keys; default: those of this shape below $PROOFWARD_STATE."),
]


@app.command("setup")
def setup(
    that: ThatOption,
    artifact: ArtifactOption,
    out: Annotated[Path, typer.Option(help="The folder to make; hand vk.bin and key.json to readers.")],
    jobs: JobsOption = 1,
    of: OfOption = "output",
    as_json: JsonOption = False,
) -> None:
    """Make keys for the shape of outputs (or inputs) that a sentence is about; models of a shape share them.

    Who makes keys can forge statements: an insurer who is to believe them makes them and hands them out.

    Example: proofward statement setup --that "risk >= 0.85" --artifact build/models/mlp/public --out keys
    """
    from proofward.statements import keys
    from proofward.statements.meaning import meaning
    from proofward.statements.sentence import parse
    from proofward.zkml import load_public

    with reporting(as_json):
        manifest = load_public(artifact).manifest
        together = manifest.batch > 1
        meant = meaning(parse(that), manifest, _subject(of), manifest.batch if together else jobs, together)
        made = keys.make(meant.shape, out)
        value = {
            "key": made.hash,
            "shape": made.shape.name,
            "folder": str(out),
            "setup": made.setup,
            "constraints": made.shape.circuit.constraints,
        }
        emit(
            as_json,
            value,
            [
                f"key      {hex0x(made.hash)}",
                f"shape    {made.shape.name}: {value['constraints']} constraints",
                "setup    dev: who made these keys can forge statements under them",
                f"keys     {out}",
            ],
        )


@app.command("prove")
def prove(
    targets: Annotated[
        list[str], typer.Argument(metavar="JOB…|FILE", help="Ids of jobs of your own, or one proof file.")
    ],
    that: ThatOption,
    out: Annotated[Path, typer.Option(help="The statement's file.")] = Path("statement.json"),
    artifact: Annotated[
        Path | None,
        typer.Option(help="The model's artefact; of a proof file's model the private half too."),
    ] = None,
    key: KeyOption = None,
    of: OfOption = "output",
    records: Annotated[
        str | None, typer.Option("--input", help="The records: for --of input, or with a proof file.")
    ] = None,
    ignore_extra_columns: IgnoreExtra = False,
    state: Annotated[
        Path | None, typer.Option(help="Where job secrets are kept; default: $PROOFWARD_STATE.")
    ] = None,
    chain: ChainOption = DEFAULT_CHAIN,
    as_json: JsonOption = False,
) -> None:
    """Prove a sentence about committed outputs: NAME >= NUMBER, NAME <= NUMBER, NAME between A and B, class
    is LABEL, class is one of A, B; about several jobs, or a batch, after any:, all:, at least K:, exactly K:.

    Example: proofward statement prove 0x1f… --that "risk >= 0.85" --out statement.json

             proofward statement prove 0x1f… 0x2e… --that "any: class is malignant" --key keys
    """
    import time

    from proofward.client import Client, statements
    from proofward.errors import Refused
    from proofward.statements import keys
    from proofward.statements import statement as files
    from proofward.zkml import load_artifact, load_public

    subject = _subject(of)
    with reporting(as_json):
        if Path(targets[0]).is_file():
            if artifact is None or records is None or len(targets) > 1:
                raise Refused(
                    "a statement about a proof file needs --artifact (whole) and --input, for one file",
                    code="usage",
                )
            loaded = load_artifact(artifact)
            try:
                table = records_of(records, loaded.public, ignore_extra_columns, as_json)
                public, opened = statements.opened_file(Path(targets[0]), loaded, table, subject)
            finally:
                loaded.close()
        else:
            with Client(chain, state=state) as client:
                table = None
                if records is not None:
                    if artifact is None:
                        raise Refused("--input needs --artifact: its features name the columns", code="usage")
                    table = records_of(records, load_public(artifact), ignore_extra_columns, as_json)
                public, opened = statements.opened_jobs(
                    client, targets, subject=subject, artifact=artifact, inputs=table
                )
        if key is None:
            shelf = statements.shelf()
            note(as_json, f"keys: those below {shelf}, made there if there are none (setup: dev)")
            used = statements.key_for(that, public, len(opened.values), opened.together, subject, shelf)
        else:
            used = keys.load(key)
        # The key is read and checked once; what follows is what a proof takes.
        used.warm()
        started = time.perf_counter()
        made = files.prove(that, public, opened, used, subject)
        seconds = time.perf_counter() - started
        made.save(out)
        meant = made.meaning(public)
        value: dict[str, Any] = {
            "statement": str(out),
            "proves": meant.words,
            "key": used.hash,
            "setup": used.setup,
            "bytes": len(bytes.fromhex(made.proof)),
            "seconds": seconds,
            **files.as_json(made, meant),
        }
        emit(
            as_json,
            value,
            [
                f"proves   {meant.words}",
                f"proof    {value['bytes']} bytes in {seconds * 1000:.0f} ms, verified",
                f"key      {hex0x(used.hash)} (setup: {used.setup})",
                f"written  {out}",
            ],
        )


@app.command("accuracy")
def accuracy(
    artifact: Annotated[Path, typer.Argument(help="The model's artefact; its private half has the program.")],
    evaluation: Annotated[Path, typer.Option(help="The test set: CSV or JSON, with the truth.")],
    out: Annotated[Path, typer.Option(help="The proof's file.")] = Path("accuracy.json"),
    salt: Annotated[
        Path | None, typer.Option(help="The file of the root's salt (mode 0600); made if it is not there.")
    ] = None,
    key: KeyOption = None,
    truth: TruthOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that k of the n records of a test set are right: one proof, and the set stays with you.

    Example: proofward statement accuracy build/models/mlp --evaluation held.csv --out accuracy.json
    """
    import time

    from proofward.client.statements import shelf
    from proofward.protocol import SYSTEM_RANDOM
    from proofward.publisher.audit import own_records
    from proofward.statements import accuracy as counts
    from proofward.zkml import load_public

    with reporting(as_json):
        public = load_public(artifact)
        held = own_records(public.manifest, evaluation, truth)
        salt_file = salt or sibling(out, ".salt")
        kept = counts.salt_at(salt_file)
        test_set = counts.quantised(public, held.x, held.y, kept or SYSTEM_RANDOM(32))
        program = counts.program_of(artifact, public)
        folder = key or shelf() / counts.name(public, len(test_set.truth))
        if not (folder / "pk.bin").exists():
            note(as_json, f"keys: made in {folder} (setup: dev); a minute for 100,000 constraints")
        used = counts.key_for(program, public, len(test_set.truth), folder)
        used.warm()
        started = time.perf_counter()
        made = counts.prove_accuracy(public, used, test_set)
        seconds = time.perf_counter() - started
        made.save(out, salt=(salt_file, test_set.salt) if kept is None else None)
        low, high = counts.clopper_pearson(made.right, made.records)
        made_of = used.circuit.constraints
        value = {
            "proof": str(out),
            "right": made.right,
            "records": made.records,
            "interval": [low, high],
            "root": made.root,
            "key": used.hash,
            "setup": "dev",
            "constraints": made_of,
            "seconds": seconds,
        }
        emit(
            as_json,
            value,
            [
                f"proves   {made.words}",
                f"root     0x{made.root}, of the test set",
                f"proof    256 bytes in {seconds * 1000:.0f} ms ({made_of} constraints)",
                f"key      {hex0x(used.hash)} (setup: dev), {folder}",
                f"written  {out}",
            ],
        )


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A statement's file.")],
    artifact: ArtifactOption,
    as_json: JsonOption = False,
) -> None:
    """What a statement says in integers, and its two public inputs, as a contract takes them. Checks nothing.

    Example: proofward statement show statement.json --artifact build/models/mlp/public
    """
    from proofward.statements import statement as files
    from proofward.zkml import load_public

    with reporting(as_json):
        statement, public = files.load(file), load_public(artifact)
        value = files.as_json(statement, statement.meaning(public))
        emit(as_json, value, [f"{name:12} {_shown(one)}" for name, one in value.items()])


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="A statement's file.")],
    artifact: ArtifactOption,
    key: Annotated[Path, typer.Option(help="The folder with the keys that you trust (vk.bin, key.json).")],
    root: Annotated[
        str | None, typer.Option(help="Pin the root of a test set, as its holder gave it before.")
    ] = None,
    own_key: Annotated[
        bool, typer.Option("--own-key", help="You made these keys yourself, so you believe nobody.")
    ] = False,
    bundle: Annotated[
        list[Path] | None, typer.Option(help="The evidence of its job (may be repeated): checked offline.")
    ] = None,
    chain: Annotated[
        str | None, typer.Option("--chain", help="A node's ws:// address: look the jobs up there.")
    ] = None,
    genesis: Annotated[str | None, typer.Option(help="Pin the bundles' chain.")] = None,
    measurement: Annotated[
        list[str] | None, typer.Option(help="Pin the bundles' software (may be repeated).")
    ] = None,
    dev: DevOption = False,
    as_json: JsonOption = False,
) -> None:
    """Verify a statement or a proof of accuracy, offline: one line a check. Without --bundle or --chain a
    statement's commitments are nobody's.

    Example: proofward statement verify statement.json --artifact mlp/public --key keys --bundle job.bundle
    """
    from proofward.client import Client, statements, targets
    from proofward.evidence.bundle import load_bundle
    from proofward.evidence.verdict import Verdict
    from proofward.statements import accuracy as counts
    from proofward.statements import keys
    from proofward.statements import statement as files
    from proofward.zkml import load_public

    with reporting(as_json):
        if counts.is_accuracy(file):
            verdict = _verify_accuracy(file, artifact, key, root, dev, own_key)
        else:
            statement, used, public = files.load(file), keys.load(key), load_public(artifact)
            checks = files.checks(statement, public, used, development=dev, own_key=own_key)
            flags = files.flags(used, own_key)
            if bundle:
                pins = targets.Pins(development=dev, genesis=genesis, measurements=measurement or ())
                bundles = [load_bundle(one) for one in bundle]
                checks += statements.bundle_checks(bundles, statement, pins.policy())
                flags += statements.bundle_flags(bundles)
            if chain is not None:
                with Client(chain) as client:
                    checks.append(statements.chain_check(client.chain, statement))
                    flags += statements.chain_flags(client.chain, statement)
                checks.append(files.setup_check(public, dev))
            if not bundle and chain is None:
                checks.append(files.commitments_said(statement))
            verdict = Verdict(b"", tuple(dict.fromkeys(flags)), tuple(checks))
        tell(as_json, verdict)
    raise typer.Exit(EXITS[verdict.outcome.name])


def _verify_accuracy(
    file: Path, artifact: Path, key: Path, root: str | None, dev: bool, own_key: bool
) -> Verdict:
    from proofward.client.ids import hash32
    from proofward.evidence.verdict import Verdict
    from proofward.statements import accuracy as counts
    from proofward.zkml import load_public

    public = load_public(artifact)
    program = counts.program_of(artifact, public)
    pinned = None if root is None else hash32(root, "root")
    checks = counts.checks(
        counts.load(file), public, program, key, development=dev, own_key=own_key, root=pinned
    )
    return Verdict(b"", () if own_key else ("setup: dev",), tuple(checks))


def _subject(of: str) -> Subject:
    if of not in ("output", "input"):
        raise typer.BadParameter("--of is output or input")
    return cast("Subject", of)


def _shown(value: object) -> str:
    return hex0x(value) if isinstance(value, bytes) else str(value)
