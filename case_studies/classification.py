"""Classification: probabilities one can trust, and the formula behind them.

System. Two moons (2,000 points, noise 0.2), and the Wisconsin breast cancer table that ships with scikit-learn (569
tumours, 30 measured features; 1 means benign). A third of the samples, drawn anew for every seed, is held out.

Learned. An additive KAN, one function a feature, on the cross-entropy; the strength of its sparsity penalty is chosen
by cross-validation on the training samples. Its logit becomes a formula, in the names of the columns. Beside it
gradient boosting, an MLP and logistic regression, as scikit-learn gives them, on standardised features.

Judged. On the held-out samples: accuracy, the log-loss, and how far stated probabilities are from frequencies (the
expected calibration error over ten bins). The KAN must be within a point of the best accuracy of the others on the
moons, and of gradient boosting on the tumours; the formula, which may lose 16 % of what the KAN explains of the
log-loss, within two points of it.
"""

import warnings
from typing import Any

import numpy as np
import sympy
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, make_moons
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier

import kan2
from case_studies._base import CaseResult, Stopwatch, Trial, row_of_trials, run_as_script
from kan2.estimators import KANClassifier

ACCURACY = 0.2  # half the root of the share that a formula may lose of what its network explains
NAMES = ("KAN", "gradient boosting", "MLP [64, 64]", "logistic regression")


def run(full: bool = False, seeds: int | None = None) -> CaseResult:
    """Classifies two moons and tumours, with formulas, beside what scikit-learn offers."""
    result, clock = CaseResult("classification"), Stopwatch()
    result.references.append("Wolberg, Street, Mangasarian, Breast Cancer Wisconsin (Diagnostic), UCI (1995)")
    n_seeds = seeds or (5 if full else 1)
    for task, (x, y, names), rivals in (
        ("two moons", moons(), NAMES[1:]),
        ("breast cancer", tumours(), NAMES[1:2]),
    ):
        trials: dict[str, list[Trial]] = {name: [] for name in (*NAMES, "formula")}
        for seed in range(n_seeds):
            split: Any = train_test_split(x, y, test_size=1 / 3, random_state=seed, stratify=y)
            train_x, test_x, train_y, test_y = split
            errors, stated, models = {}, {}, classifiers(seed, full)
            for name, model in models.items():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    model.fit(train_x, train_y)
                stated[name] = model.predict_proba(test_x)[:, 1]
                errors[name] = float(np.mean(model.predict(test_x) != test_y))
                met = name != "KAN" or errors[name] <= min(errors.get(r, 1.0) for r in rivals) + 0.01
                trials[name].append(Trial(judge(stated[name], test_y), errors[name], met, clock.lap()))
            kan = models["KAN"].best_estimator_
            trials["formula"].append(_formula_trial(kan, names, test_x, test_y, clock))
            if seed == 0:
                result.formulas[task] = trials["formula"][0].found.splitlines()[0]
                result.figures[task.replace(" ", "_")] = _calibration_figure(stated, test_y)
                result.figures[f"{task.replace(' ', '_')}_network"] = kan.model_.plot()
        target = f"within 0.01 of {'the best' if len(rivals) > 1 else rivals[0]}"
        for name in (*NAMES, "formula"):
            wanted = {"KAN": target, "formula": "within 0.02 of the KAN"}.get(name, "shown beside")
            result.rows.append(row_of_trials(f"{task}, {name}", trials[name], "share of errors", wanted))
    result.seconds = clock.total()
    return result


def moons() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Draws the two moons."""
    drawn: Any = make_moons(2000, noise=0.2, random_state=0)
    return *drawn, ["x", "y"]


def tumours() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Reads the table of tumours, standardised, with names that can stand in a formula."""
    table: Any = load_breast_cancer()
    x = (table.data - table.data.mean(axis=0)) / table.data.std(axis=0)
    return x, table.target, [name.replace(" ", "_") for name in table.feature_names]


def classifiers(seed: int, full: bool) -> dict[str, Any]:
    """Returns the classifiers to compare; the KAN last, so that it can be judged by the others."""
    strengths = [1e-3, 3e-3, 1e-2, 3e-2] if full else [1e-3, 1e-2]
    kan = KANClassifier(hidden=(), grid=3, steps=50, random_state=seed)
    return {
        "gradient boosting": HistGradientBoostingClassifier(random_state=seed),
        "MLP [64, 64]": MLPClassifier((64, 64), max_iter=500 if full else 200, random_state=seed),
        "logistic regression": LogisticRegression(),
        "KAN": GridSearchCV(kan, {"lamb": strengths}, scoring="neg_log_loss", cv=5 if full else 3),
    }


def calibration_error(stated: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """Returns the mean distance of stated probabilities from frequencies, over bins of the stated probability."""
    index = np.minimum((stated * bins).astype(int), bins - 1)
    gaps = [abs(stated[index == i].sum() - labels[index == i].sum()) for i in range(bins)]
    return float(np.sum(gaps) / len(labels))


def judge(stated: np.ndarray, labels: np.ndarray) -> str:
    """Describes probabilities in words: log-loss and calibration."""
    return f"log-loss {log_loss(labels, stated):.3f}\ncalibration error {calibration_error(stated, labels):.3f}"


def _formula_trial(kan: KANClassifier, names: list[str], x: np.ndarray, y: np.ndarray, clock: Stopwatch) -> Trial:
    error = float(np.mean(kan.predict(x) != y))
    try:
        model = kan.symbolic_model(accuracy=ACCURACY)
        formula = model.symbolic_formula(digits=3)
        formula = formula.subs({f"x{i}": sympy.Symbol(name) for i, name in enumerate(names, 1)}, simultaneous=True)
    except kan2.Kan2Error as refusal:
        return Trial(str(refusal), float("inf"), False, clock.lap())
    logits = model.predict(x[:, [int(name[1:]) - 1 for name in model.spec.inputs]])[:, 0]
    own = float(np.mean((logits > 0) != y))
    found = f"logit = {formula}\n{judge(1 / (1 + np.exp(-logits)), y)}"
    return Trial(found, own, own <= error + 0.02, clock.lap())


def _calibration_figure(stated: dict[str, np.ndarray], labels: np.ndarray) -> Figure:
    figure = Figure(figsize=(4.4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.8", zorder=0)
    for (name, p), marker in zip(stated.items(), "s^vo"):
        index = np.minimum((p * 5).astype(int), 4)
        used = [i for i in range(5) if (index == i).sum() >= 5]
        x, y = [p[index == i].mean() for i in used], [labels[index == i].mean() for i in used]
        axes.plot(x, y, marker=marker, lw=1, ms=5, label=name)
    axes.set(xlabel="stated probability", ylabel="observed frequency")
    axes.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    raise SystemExit(run_as_script(run))
