"""Records from files: CSV in any common dialect, or JSON; matched to a model's features by name."""

from proofward.tables.errors import TableError
from proofward.tables.fhir import is_loinc
from proofward.tables.match import FeatureLike, arrange, split_truth
from proofward.tables.reader import read_table
from proofward.tables.table import Table

__all__ = ["FeatureLike", "Table", "TableError", "arrange", "is_loinc", "read_table", "split_truth"]
