"""A model to try Proofward with: a logistic regression on the Wisconsin breast-cancer records.

Usage: train.py [FOLDER]

Needs scikit-learn and skl2onnx. Writes model.onnx, train.csv and held.csv (the truth in the last column),
expected.csv, what scikit-learn itself answers, and record.csv, one record that the model has not seen.
"""

from __future__ import annotations

import sys
from pathlib import Path

from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from proofward import expected


def main(folder: str = ".") -> int:
    """Train, and write the five files."""
    data = load_breast_cancer(as_frame=True)
    train, held = train_test_split(data.frame, test_size=0.3, random_state=7, stratify=data.target)
    features = data.feature_names.tolist()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(train[features], train["target"])
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    exported = to_onnx(model, train[features].values[:1].astype("float32"), options={"zipmap": False})
    (out / "model.onnx").write_bytes(exported.SerializeToString())
    train.to_csv(out / "train.csv", index=False)
    held.to_csv(out / "held.csv", index=False)
    expected(model, train[features], out / "expected.csv")
    held[features].head(1).to_csv(out / "record.csv", index=False)
    print(f"accuracy on {len(held)} held-out records: {model.score(held[features], held['target']):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
