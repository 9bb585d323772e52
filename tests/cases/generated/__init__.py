"""Models made in code as people make them: with scikit-learn, XGBoost, LightGBM, or as an exporter writes
them.
"""

from tests.cases.generated.case import Case, Made, all_cases

__all__ = ["Case", "Made", "all_cases"]
