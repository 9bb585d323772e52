"""Models of scikit-learn, by skl2onnx."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from skl2onnx import to_onnx
from sklearn import (
    calibration,
    cluster,
    compose,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    gaussian_process,
    impute,
    linear_model,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)

from proofward import expected
from proofward.zkml.expected import Expected
from tests.cases.generated import data
from tests.cases.generated.case import Case, Made

Truth = Callable[[np.ndarray], np.ndarray]
ORDINARY = 60
"""Records that are like those of training: a library refuses some of the others."""
SCALED_ON_A_THRESHOLD = ("standard", "minmax", "columns", "columns_rest", "imputer_columns")
"""Scalers that put some records on a threshold: ONNX Runtime scales in float32, scikit-learn in float64."""


def _fitted(  # noqa: PLR0913 - what a case may be, by keyword
    model: Any,
    truth: Truth,
    *,
    reads: str = "label",
    exact: bool = False,
    gaps: bool = False,
    scale: bool = False,
    integers: bool = False,
    double: bool = False,
    rename: Any = None,
    task: Any = None,
    output: str | None = None,
    ties: bool = False,
    library: bool = True,
    **options: Any,
) -> Made:
    train, fresh = data.table(), data.table(ORDINARY, seed=1)
    known, asked = truth(train), fresh
    if rename is not None:
        known = np.array(rename)[known]
    if scale:
        train, asked = data.scaled(train), data.scaled(fresh)
    if integers:
        train, asked = np.rint(train), np.rint(asked)
    if exact:
        asked = data.probing(asked)
    if gaps:
        train, asked = data.with_gaps(train), data.with_gaps(asked, 5)
    told = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(train, known)
        kind = np.int64 if integers else np.float64 if double else np.float32
        proto = to_onnx(model, train[:1].astype(kind), options={id(model): options} if options else None)
        if library and hasattr(model, "predict"):
            told = _library(model, asked[:ORDINARY], options)
    return Made(
        proto.SerializeToString(), train, asked, reads, task, exact, output, ties, told  # type: ignore[arg-type]
    )  # fmt: skip


def _library(model: Any, asked: np.ndarray, options: dict[str, Any]) -> Expected:
    return expected(model, asked, methods=["predict"] if options.get("raw_scores") else None)


def _case(name: str, model: Callable[[], Any], truth: Truth, **how: Any) -> Case:
    return Case(f"sk_{name}", lambda: _fitted(model(), truth, **how))


def cases() -> list[Case]:
    """All of them."""
    return [*_linear(), *_trees(), *_composed(), *_pipelines(), *_networks(), *_others(), *_values()]


def _linear() -> list[Case]:
    lr = linear_model.LogisticRegression
    two, three = data.binary, data.classes
    return [
        _case("logreg", lr, two, scale=True),
        _case("logreg_no_zipmap", lr, two, scale=True, zipmap=False),
        _case("logreg_columns", lr, two, scale=True, zipmap="columns"),
        _case("logreg_raw_scores", lr, two, scale=True, raw_scores=True),
        _case("logreg_columns_chosen", lr, two, scale=True, zipmap="columns", output="i1"),
        _case("logreg_label", lr, three, scale=True, rename=["x", "y", "z"], output="output_label"),
        _case("logreg_three", lr, three, scale=True),
        _case("logreg_three_no_zipmap", lr, three, scale=True, zipmap=False),
        _case("logreg_three_raw", lr, three, scale=True, raw_scores=True, zipmap=False),
        _case("logreg_words", lr, three, scale=True, rename=["none", "mild", "severe"]),
        _case("logreg_yes_no", lr, two, scale=True, rename=["no", "yes"]),
        _case("logreg_minus_plus", lr, two, scale=True, rename=[-1, 1]),
        _case("logreg_one_two", lr, two, scale=True, rename=[1, 2], zipmap=False),
        _case("logreg_bools", lr, lambda x: data.binary(x).astype(bool), scale=True),
        _case("logreg_no_intercept", partial(lr, fit_intercept=False), two, scale=True),
        _case("logreg_l1", partial(lr, l1_ratio=1.0, solver="liblinear", C=0.3), two, scale=True),
        _case("logreg_integers", lr, two, integers=True),
        _case("logreg_double", lr, two, scale=True, double=True, zipmap=False),
        _case("logreg_one_class_apart", lr, lambda x: data.binary(x) + 4, scale=True),
        _case("logreg_unscaled", partial(lr, max_iter=500), two),
        _case(
            "logreg_tuned_threshold",
            lambda: model_selection.TunedThresholdClassifierCV(lr(), cv=2),
            two,
            scale=True,
        ),
        _case("logreg_cv", partial(linear_model.LogisticRegressionCV, cv=3, Cs=3), two, scale=True),
        _case("logreg_ovr", lambda: multiclass.OneVsRestClassifier(lr()), three, scale=True),
        _case(
            "logreg_ovr_no_zipmap",
            lambda: multiclass.OneVsRestClassifier(lr()),
            three,
            scale=True,
            zipmap=False,
        ),
        _case("logreg_ovr_two", lambda: multiclass.OneVsRestClassifier(lr()), two, scale=True),
        _case("logreg_ovo", lambda: multiclass.OneVsOneClassifier(lr()), three, scale=True),
        _case(
            "logreg_multilabel",
            lambda: multiclass.OneVsRestClassifier(lr()),
            data.labels,
            scale=True,
            reads="halves",
        ),
        _case(
            "logreg_multioutput",
            lambda: multioutput.MultiOutputClassifier(lr()),
            data.labels,
            scale=True,
            reads="halves",
        ),
        _case(
            "sgd_log", partial(linear_model.SGDClassifier, loss="log_loss", random_state=0), two, scale=True
        ),
        _case(
            "sgd_log_three",
            partial(linear_model.SGDClassifier, loss="log_loss", random_state=0),
            three,
            scale=True,
        ),
        _case(
            "sgd_huber",
            partial(linear_model.SGDClassifier, loss="modified_huber", random_state=0),
            two,
            scale=True,
        ),
        _case("sgd_hinge", partial(linear_model.SGDClassifier, random_state=0), two, scale=True),
        _case("sgd_hinge_three", partial(linear_model.SGDClassifier, random_state=0), three, scale=True),
        _case("perceptron", partial(linear_model.Perceptron, random_state=0), two, scale=True),
        _case("perceptron_three", partial(linear_model.Perceptron, random_state=0), three, scale=True),
        _case("ridge_classifier", linear_model.RidgeClassifier, two, scale=True),
        _case("ridge_classifier_three", linear_model.RidgeClassifier, three, scale=True),
        _case("linear_svc", svm.LinearSVC, two, scale=True),
        _case("linear_svc_three", svm.LinearSVC, three, scale=True),
        _case("linear_svc_words", svm.LinearSVC, two, scale=True, rename=["benign", "malignant"]),
        _case("lda", discriminant_analysis.LinearDiscriminantAnalysis, two, scale=True),
        _case("lda_three", discriminant_analysis.LinearDiscriminantAnalysis, three, scale=True),
    ]


def _trees() -> list[Case]:
    two, three = data.binary, data.classes
    dt, rf, et = tree.DecisionTreeClassifier, ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier
    gb = ensemble.GradientBoostingClassifier
    small: dict[str, Any] = {"n_estimators": 5, "max_depth": 3, "random_state": 0}
    return [
        _case("tree", partial(dt, max_depth=4), two, exact=True),
        _case("tree_full", dt, two, exact=True),
        _case("tree_three", partial(dt, max_depth=4), three, exact=True),
        _case("tree_words", partial(dt, max_depth=3), three, exact=True, rename=["a", "b", "c"]),
        _case("tree_no_zipmap", partial(dt, max_depth=4), two, exact=True, zipmap=False),
        _case("tree_integers", partial(dt, max_depth=4), two, exact=True, integers=True),
        _case("tree_double", partial(dt, max_depth=3), two, exact=True, double=True, zipmap=False),
        _case("tree_stump", partial(dt, max_depth=1), two, exact=True),
        _case("tree_no_split", partial(dt, max_depth=1, min_samples_leaf=150), two, exact=True),
        _case("tree_missing", partial(dt, max_depth=3), two, exact=True, gaps=True),
        _case("tree_two_outputs", partial(dt, max_depth=3), data.labels, exact=True, reads="label"),
        _case("tree_balanced", partial(dt, max_depth=3, class_weight="balanced"), two, exact=True),
        _case("forest", partial(rf, **small), two, exact=True),
        _case("forest_three", partial(rf, **small), three, exact=True),
        _case("forest_words", partial(rf, **small), two, exact=True, rename=["no", "yes"]),
        _case("forest_no_zipmap", partial(rf, **small), three, exact=True, zipmap=False),
        _case("forest_missing", partial(rf, **small), two, exact=True, gaps=True),
        _case("forest_two_outputs", partial(rf, **small), data.labels, exact=True),
        _case("forest_one_tree", partial(rf, n_estimators=1, max_depth=3, random_state=0), two, exact=True),
        *[
            _case(
                f"forest_of_{n}_ties",
                partial(rf, n, random_state=0),
                two,
                exact=True,
                ties=True,
                library=False,
            )
            for n in (6, 10, 12, 20, 40, 50)
        ],
        _case(
            "forest_of_10_ties_double",
            partial(rf, 10, random_state=0),
            two,
            exact=True,
            ties=True,
            library=False,
            double=True,
        ),
        _case("forest_of_10_ties_three", partial(rf, 10, random_state=0), three, exact=True, ties=True),
        _case(
            "forest_of_10_ties_balanced",
            partial(rf, 10, class_weight="balanced", random_state=0),
            two,
            exact=True,
            ties=True,
        ),
        _case("extra_trees", partial(et, **small), two, exact=True),
        _case("extra_trees_three", partial(et, **small), three, exact=True),
        _case("extra_tree", partial(tree.ExtraTreeClassifier, max_depth=3, random_state=0), two, exact=True),
        _case(
            "imputer_beside_forest",
            lambda: pipeline.make_pipeline(
                pipeline.make_union(impute.SimpleImputer(), "passthrough"), rf(**small)
            ),
            two,
            exact=True,
            gaps=True,
        ),
        _case("boosting", partial(gb, **small), two, exact=True),
        _case("boosting_three", partial(gb, **small), three, exact=True),
        _case("boosting_words", partial(gb, **small), two, exact=True, rename=["no", "yes"]),
        _case("boosting_no_zipmap", partial(gb, **small), two, exact=True, zipmap=False),
        _case("boosting_raw", partial(gb, **small), two, exact=True, raw_scores=True, zipmap=False),
        _case("boosting_init_zero", partial(gb, init="zero", **small), two, exact=True),
        _case("boosting_exponential", partial(gb, loss="exponential", **small), two, exact=True),
    ]


def _composed() -> list[Case]:
    two, three = data.binary, data.classes
    lr = linear_model.LogisticRegression
    dt = partial(tree.DecisionTreeClassifier, max_depth=3, random_state=0)
    forest = partial(ensemble.RandomForestClassifier, 3, max_depth=3, random_state=0)
    cv = calibration.CalibratedClassifierCV
    bag, ada = ensemble.BaggingClassifier, ensemble.AdaBoostClassifier

    def vote(how: str, *models: Any) -> Any:
        return ensemble.VotingClassifier(
            [(str(i), model) for i, model in enumerate(models)], voting=how, flatten_transform=False
        )

    return [
        _case("bagging_logreg", lambda: bag(lr(), n_estimators=3, random_state=0), two, scale=True),
        _case("bagging_logreg_three", lambda: bag(lr(), n_estimators=3, random_state=0), three, scale=True),
        _case("bagging_trees", lambda: bag(dt(), n_estimators=4, random_state=0), two, exact=True),
        _case(
            "bagging_trees_ties",
            lambda: bag(dt(max_depth=None), 10, random_state=0),
            two,
            exact=True,
            ties=True,
        ),
        _case("bagging_trees_three", lambda: bag(dt(), n_estimators=4, random_state=0), three, exact=True),
        _case(
            "bagging_columns",
            lambda: bag(dt(), n_estimators=3, max_features=0.5, random_state=0),
            two,
            exact=True,
        ),
        _case("voting_soft", lambda: vote("soft", lr(), lr(C=0.1)), two, scale=True),
        _case("voting_soft_three", lambda: vote("soft", lr(), lr(C=0.1)), three, scale=True),
        _case("voting_soft_trees", lambda: vote("soft", dt(), dt(max_depth=2)), two, exact=True),
        _case("voting_soft_mixed", lambda: vote("soft", dt(), lr()), two, scale=True),
        _case("voting_hard", lambda: vote("hard", lr(), dt(), lr(C=0.1)), two, scale=True),
        _case(
            "voting_hard_trees",
            lambda: vote("hard", dt(), dt(max_depth=2), dt(max_depth=1)),
            three,
            exact=True,
        ),
        _case("calibrated_alone", lambda: cv(lr(), cv=2, ensemble=False), two, scale=True),
        _case("calibrated_alone_three", lambda: cv(lr(), cv=2, ensemble=False), three, scale=True),
        _case("calibrated_alone_forest", lambda: cv(forest(), cv=2, ensemble=False), two, exact=True),
        _case("calibrated_words", lambda: cv(lr(), cv=3), two, scale=True, rename=["no", "yes"]),
        _case("calibrated_label", lambda: cv(lr(), cv=2), two, scale=True, output="output_label"),
        _case("calibrated_sigmoid", lambda: cv(lr(), cv=2), two, scale=True),
        _case("calibrated_isotonic", lambda: cv(lr(), cv=2, method="isotonic"), two, scale=True),
        _case("calibrated_svc", lambda: cv(svm.LinearSVC(), cv=2), two, scale=True),
        _case("calibrated_three", lambda: cv(lr(), cv=2), three, scale=True),
        _case(
            "calibrated_forest",
            lambda: cv(ensemble.RandomForestClassifier(3, max_depth=3), cv=2),
            two,
            exact=True,
        ),
        _case("adaboost", lambda: ada(n_estimators=4, random_state=0), two, exact=True),
        _case("adaboost_three", lambda: ada(dt(), n_estimators=3, random_state=0), three, exact=True),
        _case(
            "adaboost_words",
            lambda: ada(n_estimators=4, random_state=0),
            two,
            exact=True,
            rename=["no", "yes"],
        ),
        _case(
            "adaboost_minus_plus",
            lambda: ada(n_estimators=4, random_state=0),
            two,
            exact=True,
            rename=[-1, 1],
        ),
        _case("adaboost_fifty", lambda: ada(n_estimators=50, random_state=0), two, exact=True),
        _case(
            "adaboost_raw",
            lambda: ada(dt(), n_estimators=3, random_state=0),
            three,
            exact=True,
            raw_scores=True,
            zipmap=False,
        ),
        _case(
            "adaboost_scaled",
            lambda: pipeline.make_pipeline(
                preprocessing.StandardScaler(), ada(n_estimators=4, random_state=0)
            ),
            two,
            exact=True,
        ),
        _case(
            "voting_hard_two", lambda: vote("hard", dt(), dt(max_depth=2), dt(max_depth=1)), two, exact=True
        ),
        _case(
            "voting_hard_words",
            lambda: vote("hard", dt(), dt(max_depth=2), dt(max_depth=1)),
            three,
            exact=True,
            rename=["x", "y", "z"],
            output="output_label",
        ),
        _case("voting_hard_forest", lambda: vote("hard", dt(), forest()), two, exact=True),
        _case("ovr_forest", lambda: multiclass.OneVsRestClassifier(forest()), three, exact=True),
        _case("ovr_forest_two", lambda: multiclass.OneVsRestClassifier(forest()), two, exact=True),
        _case(
            "ovr_forest_labels",
            lambda: multiclass.OneVsRestClassifier(forest()),
            data.labels,
            exact=True,
            reads="halves",
        ),
        _case(
            "ovr_svc_label",
            lambda: multiclass.OneVsRestClassifier(svm.LinearSVC()),
            three,
            scale=True,
            output="output_label",
        ),
        _case("adaboost_logreg", lambda: ada(lr(), n_estimators=3, random_state=0), two, scale=True),
        _case(
            "stacking", lambda: ensemble.StackingClassifier([("a", lr()), ("b", dt())], cv=2), two, scale=True
        ),
        _case("ovr_trees", lambda: multiclass.OneVsRestClassifier(dt()), three, exact=True),
        _case("ovr_svc", lambda: multiclass.OneVsRestClassifier(svm.LinearSVC()), three, scale=True),
        _case("multioutput_trees", lambda: multioutput.MultiOutputClassifier(dt()), data.labels, exact=True),
    ]


def _pipelines() -> list[Case]:
    two, three = data.binary, data.classes
    made = pipeline.make_pipeline
    steps: dict[str, Callable[[], Any]] = {
        "standard": preprocessing.StandardScaler,
        "standard_no_mean": partial(preprocessing.StandardScaler, with_mean=False),
        "minmax": preprocessing.MinMaxScaler,
        "minmax_clip": partial(preprocessing.MinMaxScaler, clip=True),
        "maxabs": preprocessing.MaxAbsScaler,
        "robust": preprocessing.RobustScaler,
        "imputer": impute.SimpleImputer,
        "imputer_median": partial(impute.SimpleImputer, strategy="median"),
        "kbest": partial(feature_selection.SelectKBest, k=2),
        "variance": partial(feature_selection.VarianceThreshold, 0.5),
        "pca": partial(decomposition.PCA, 3, random_state=0),
        "svd": partial(decomposition.TruncatedSVD, 2, random_state=0),
        "normalizer": preprocessing.Normalizer,
        "polynomial": partial(preprocessing.PolynomialFeatures, 2, include_bias=False),
        "binarizer": partial(preprocessing.Binarizer, threshold=0.2),
        "bins": partial(preprocessing.KBinsDiscretizer, 3, encode="ordinal", strategy="uniform"),
        "bins_onehot": partial(preprocessing.KBinsDiscretizer, 3, encode="onehot-dense", strategy="uniform"),
        "power": preprocessing.PowerTransformer,
        "passthrough": partial(preprocessing.FunctionTransformer, validate=True),
        "columns": lambda: compose.ColumnTransformer(
            [("a", preprocessing.StandardScaler(), [0, 2]), ("b", preprocessing.MinMaxScaler(), [1])]
        ),
        "columns_rest": lambda: compose.ColumnTransformer(
            [("a", preprocessing.StandardScaler(), [0])], remainder="passthrough"
        ),
        "union": lambda: pipeline.make_union(preprocessing.StandardScaler(), preprocessing.MinMaxScaler()),
        "onehot_count": lambda: compose.ColumnTransformer(
            [("a", preprocessing.OneHotEncoder(handle_unknown="ignore", categories=[[0, 1, 2, 3, 4]]), [1])],
            remainder="passthrough",
        ),
        "imputer_scaler": lambda: made(impute.SimpleImputer(), preprocessing.StandardScaler()),
        "imputer_columns": lambda: compose.ColumnTransformer(
            [
                ("a", made(impute.SimpleImputer(), preprocessing.StandardScaler()), [0, 1]),
                ("b", "passthrough", [2, 3]),
            ]
        ),
        "imputer_indicator": partial(impute.SimpleImputer, add_indicator=True),
    }
    forest = partial(ensemble.RandomForestClassifier, 4, max_depth=3, random_state=0)
    boosting = partial(ensemble.GradientBoostingRegressor, n_estimators=4, max_depth=2, random_state=0)
    found = []
    for name, step in steps.items():
        gaps = name.startswith("imputer") and name != "imputer_columns"
        rough = name in ("pca", "svd", "polynomial", "power", "normalizer", "passthrough")
        how: dict[str, Any] = {"gaps": gaps, "scale": rough}
        logistic = partial(linear_model.LogisticRegression, max_iter=400)

        def chain(step: Callable[[], Any], last: Callable[[], Any]) -> Any:
            return made(step(), last())

        found += [
            _case(f"{name}_then_logreg", partial(chain, step, logistic), two, **how),
            _case(
                f"{name}_then_forest",
                partial(chain, step, forest),
                three,
                exact=True,
                library=name not in SCALED_ON_A_THRESHOLD,
                **how,
            ),
        ]
        if name in ("standard", "minmax", "imputer", "columns", "kbest", "robust"):
            found.append(
                _case(
                    f"{name}_then_boosting",
                    partial(chain, step, boosting),
                    data.score,
                    exact=True,
                    reads="values",
                    **how,
                )
            )
    return found


def _networks() -> list[Case]:
    made = pipeline.make_pipeline
    p = preprocessing.StandardScaler
    net = partial(neural_network.MLPClassifier, hidden_layer_sizes=(4,), max_iter=150, random_state=0)
    guess = partial(neural_network.MLPRegressor, hidden_layer_sizes=(4,), max_iter=300, random_state=0)
    found = [
        _case(f"mlp_{kind}", lambda kind=kind: net(activation=kind), data.binary, scale=True)  # type: ignore[misc]
        for kind in ("relu", "tanh", "logistic", "identity")
    ]
    return [
        *found,
        _case("mlp_three", net, data.classes, scale=True),
        _case("mlp_no_zipmap", net, data.classes, scale=True, zipmap=False),
        _case("mlp_words", net, data.binary, scale=True, rename=["no", "yes"]),
        _case("mlp_multilabel", net, data.labels, scale=True, reads="labels", zipmap=False),
        _case("mlp_scaled", lambda: made(p(), net()), data.binary),
        _case("mlp_imputed", lambda: made(impute.SimpleImputer(), p(), net()), data.binary, gaps=True),
        _case("mlp_two_layers", partial(net, hidden_layer_sizes=(4, 3)), data.binary, scale=True),
        _case("mlp_value", guess, data.score, scale=True, reads="values", task="regression"),
        _case(
            "mlp_value_tanh",
            partial(guess, activation="tanh"),
            data.score,
            scale=True,
            reads="values",
            task="regression",
        ),
        _case("mlp_two_values", guess, data.targets, scale=True, reads="values", task="multi-target"),
    ]


def _others() -> list[Case]:
    two, three = data.binary, data.classes
    return [
        _case("svc_linear", partial(svm.SVC, kernel="linear"), two, scale=True),
        _case("svc_rbf", svm.SVC, two, scale=True),
        _case("svc_rbf_three", svm.SVC, three, scale=True),
        _case("svc_poly", partial(svm.SVC, kernel="poly", degree=2), two, scale=True),
        _case("nusvc", svm.NuSVC, two, scale=True),
        _case("gaussian_nb", naive_bayes.GaussianNB, two, scale=True),
        _case("gaussian_nb_three", naive_bayes.GaussianNB, three, scale=True),
        _case("bernoulli_nb", naive_bayes.BernoulliNB, two, scale=True),
        _case(
            "multinomial_nb",
            lambda: pipeline.make_pipeline(preprocessing.MinMaxScaler(), naive_bayes.MultinomialNB()),
            two,
        ),
        _case(
            "complement_nb",
            lambda: pipeline.make_pipeline(preprocessing.MinMaxScaler(), naive_bayes.ComplementNB()),
            two,
        ),
        _case("knn", partial(neighbors.KNeighborsClassifier, 3), two, scale=True),
        _case("radius", partial(neighbors.RadiusNeighborsClassifier, 5.0), two, scale=True),
        _case("qda", discriminant_analysis.QuadraticDiscriminantAnalysis, two, scale=True),
        _case("gaussian_process", gaussian_process.GaussianProcessClassifier, two, scale=True),
        _case("one_class", svm.OneClassSVM, two, scale=True),
        _case("outlier", partial(neighbors.LocalOutlierFactor, novelty=True), two, scale=True),
        _case("kmeans", partial(cluster.KMeans, 3, random_state=0), two, scale=True),
        _case(
            "pca_alone", partial(decomposition.PCA, 2), two, scale=True, reads="values", task="multi-target"
        ),
        _case(
            "scaler_alone", preprocessing.StandardScaler, two, scale=True, reads="values", task="multi-target"
        ),
    ]


def _values() -> list[Case]:
    made = pipeline.make_pipeline
    p = preprocessing.StandardScaler
    one, several = data.score, data.targets
    dt = partial(tree.DecisionTreeRegressor, max_depth=3, random_state=0)
    lin = linear_model.LinearRegression

    def counts(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(np.clip(data.score(x), -3, 3)))

    linear: dict[str, Callable[[], Any]] = {
        "linear": lin,
        "ridge": linear_model.Ridge,
        "lasso": partial(linear_model.Lasso, 0.05),
        "elastic_net": partial(linear_model.ElasticNet, 0.05),
        "bayes": linear_model.BayesianRidge,
        "ard": linear_model.ARDRegression,
        "huber": linear_model.HuberRegressor,
        "theil_sen": partial(linear_model.TheilSenRegressor, random_state=0),
        "sgd": partial(linear_model.SGDRegressor, random_state=0),
        "lars": linear_model.Lars,
        "linear_svr": partial(svm.LinearSVR, random_state=0),
        "ransac": partial(linear_model.RANSACRegressor, random_state=0),
        "quantile": partial(linear_model.QuantileRegressor, alpha=0.01),
    }
    trees: dict[str, Callable[[], Any]] = {
        "tree_value": dt,
        "forest_value": partial(ensemble.RandomForestRegressor, 4, max_depth=3, random_state=0),
        "extra_trees_value": partial(ensemble.ExtraTreesRegressor, 4, max_depth=3, random_state=0),
        "boosting_value": partial(
            ensemble.GradientBoostingRegressor, n_estimators=4, max_depth=2, random_state=0
        ),
        "boosting_quantile": partial(
            ensemble.GradientBoostingRegressor, n_estimators=4, max_depth=2, loss="quantile", random_state=0
        ),
        "bagging_value": lambda: ensemble.BaggingRegressor(dt(), n_estimators=3, random_state=0),
        "adaboost_value": lambda: ensemble.AdaBoostRegressor(dt(), n_estimators=3, random_state=0),
        "voting_value": lambda: ensemble.VotingRegressor([("a", dt()), ("b", dt(max_depth=2))]),
        "multioutput_value": lambda: multioutput.MultiOutputRegressor(dt()),
    }
    found = [_case(name, make, one, scale=True, reads="values") for name, make in linear.items()]
    found += [
        _case(name, make, several if name == "multioutput_value" else one, exact=True, reads="values")
        for name, make in trees.items()
    ]
    return [
        *found,
        _case("linear_two", lin, several, scale=True, reads="values"),
        _case("linear_no_intercept", partial(lin, fit_intercept=False), one, scale=True, reads="values"),
        _case("linear_integers", lin, one, integers=True, reads="values"),
        _case("linear_double", lin, one, scale=True, double=True, task="regression", reads="values"),
        _case("linear_scaled", lambda: made(p(), lin()), one, reads="values"),
        _case("linear_imputed", lambda: made(impute.SimpleImputer(), lin()), one, gaps=True, reads="values"),
        _case(
            "multitask_lasso", partial(linear_model.MultiTaskLasso, 0.05), several, scale=True, reads="values"
        ),
        _case("tree_two_values", dt, several, exact=True, reads="values"),
        _case("forest_two_values", trees["forest_value"], several, exact=True, reads="values"),
        _case("tree_value_missing", dt, one, exact=True, gaps=True, reads="values"),
        _case(
            "bagging_linear",
            lambda: ensemble.BaggingRegressor(lin(), n_estimators=3, random_state=0),
            one,
            scale=True,
            task="regression",
            reads="values",
        ),
        _case(
            "voting_linear",
            lambda: ensemble.VotingRegressor([("a", lin()), ("b", linear_model.Ridge(5.0))]),
            one,
            scale=True,
            task="regression",
            reads="values",
        ),
        _case(
            "voting_value_mixed",
            lambda: ensemble.VotingRegressor([("a", lin()), ("b", dt())]),
            one,
            scale=True,
            reads="values",
        ),
        _case(
            "stacking_linear",
            lambda: ensemble.StackingRegressor(
                [("a", lin()), ("b", linear_model.Ridge(5.0))], linear_model.Ridge(), cv=2
            ),
            one,
            scale=True,
            reads="values",
        ),
        _case(
            "multioutput_linear",
            lambda: multioutput.MultiOutputRegressor(lin()),
            several,
            scale=True,
            task="multi-target",
            reads="values",
        ),
        _case("poisson", linear_model.PoissonRegressor, counts, scale=True, reads="values"),
        _case("gamma", linear_model.GammaRegressor, counts, scale=True, reads="values"),
        _case("svr_rbf", svm.SVR, one, scale=True, reads="values"),
        _case("svr_linear", partial(svm.SVR, kernel="linear"), one, scale=True, reads="values"),
        _case("knn_value", neighbors.KNeighborsRegressor, one, scale=True, reads="values"),
        _case(
            "gaussian_process_value",
            gaussian_process.GaussianProcessRegressor,
            one,
            scale=True,
            reads="values",
        ),
        _case("pls", lambda: _pls(), one, scale=True, task="regression", reads="values"),
    ]


def _pls() -> Any:
    from sklearn.cross_decomposition import PLSRegression

    return PLSRegression(2)
