"""From data to a formula in one call.

What searches is imported when it is called, so that a misspelt option is refused at once.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kan2.errors import named_options

if TYPE_CHECKING:
    from kan2.discovery.progress import Progress
    from kan2.laws.discovery import Discovery


@named_options
def discover(
    data: Any,
    width: Sequence[int | Sequence[int]] | None = None,
    *,
    target: str | Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    mult_arity: int | Sequence[Sequence[int]] = 2,
    library: Sequence[str] | None = None,
    attempts: int = 5,
    grid: int = 5,
    steps: int = 40,
    seed: int = 0,
    seconds: float | None = None,
    progress: "Callable[[Progress], object] | None" = None,
    callbacks: "Callable[[Progress], object] | Sequence[Callable[[Progress], object]] | None" = None,
    keep: float | str | None = None,
    guesses: Any = None,
    templates: Any = None,
    constants: Any = None,
    loss: Any = None,
    n_jobs: int | None = None,
    weight_simple: float | None = None,
    max_growth: float = 2.0,
    tries: int = 4,
    snap: bool = True,
    sample_weight: Any = None,
    accuracy: Any = 0.0,
    networks: bool = True,
    work: float = 50.0,
    units: Any = None,
) -> "Discovery":
    """Returns the law behind data: the front of formulas, and for its pick the formula, the network and the evidence.

    First, short approximations are fitted, then a law without noise is looked for by linear algebra and symmetries, and
    one under noise by smaller tables and small dictionaries. Where there is none, and wherever a width is given,
    networks are trained, pruned and replaced by functions. Where the target does not depend on the inputs, both are
    kept short. Each of several targets is searched by itself, unless a width is given, of a network for all of them.
    What it does is logged to "kan2.discover".

    A target of two words, categories or truth values holds labels: the law is one of the logit then, a `LabelLaw` with
    `predict_proba` and `classes`.

    Args:
        data: (X, y), a Dataset (with auxiliary variables, if it was made by `augment`), a dict, or a table or the path
            of one, with `target`.
        width: of the network to train, with as many or more nodes than the formula needs, see `MultKAN`; then only
            networks are searched. By default those that are trained have one hidden layer of two sums and a product,
            or of one sum where there is one input.
        target: the column, or columns, of a table to explain; the others are inputs.
        names: the columns of a table to explain it by, in this order; by default all others that hold numbers.
        mult_arity: number of factors of products of networks, see `MultKAN`.
        library: names of the functions that a law may have, and that networks try; by default all of an exact law, and
            `functions.DEFAULT_LIBRARY` of networks. Sums, products and powers are always allowed.
        attempts: largest number of random starts of networks, >= 1.
        grid: number of grid intervals at their start.
        steps: training steps on each grid.
        seed: of all that is random; the same seed gives the same law.
        seconds: limit of wall-clock time, >= 0, for the whole search; the best so far is returned. The result depends
            on the speed of the machine then. By default there is no limit.
        progress: called with a `Progress` at every stage, at every better formula, and at the end of every attempt.
        callbacks: a function, or several, called likewise; a true return value ends the search with the best so far.
        keep: share (0 to 0.9) or number of rows that are kept aside, on which formulas are judged; by default a fifth
            of the rows, 100 at most. With less than 30 rows, or keep=0, or by default with labels, each row is left
            out in turn. "end" keeps the last rows aside, the usual share: for rows in the order of time, whose
            neighbours are alike.
        guesses: formulas, as text, SymPy, networks or theories, to put on the front; symbols that are no columns are
            constants, which are fitted. What a guess lacks is looked for, as a factor and as a term.
        templates: forms of the law, as text, SymPy or theories, with unknown functions of columns or of expressions of
            columns: "f(a, b)*exp(g(c))". Symbols that are no columns are constants, which are fitted. Then no other
            forms are searched, unless nothing of these is found; the evidence says how near they can come.
        constants: names of constants, "G" and "k_B" or as CODATA has them, in SI units, or a mapping of names to
            values. Numbers that are one of them, or a simple multiple, or a product of powers of two or three, within
            their standard errors, become their symbols.
        loss: by which numbers are fitted and formulas judged, where not by squares: a torch loss or a callable
            loss(output, y) that returns a mean, such as `torch.nn.HuberLoss(delta=0.1)`. "cross_entropy" makes labels
            of a target of two numbers.
        n_jobs: number of processes for several targets or several templates, as in joblib: -1 is all cores. The result
            does not depend on it, unless there is a limit of seconds. Targets are searched one after the other where
            `progress` or callbacks are told of them. Everything else runs in one process.
        weight_simple, max_growth, tries, snap: of networks, as in `auto_symbolic`.
        sample_weight: (row,) non-negative weights; rows of weight 0 are left out.
        accuracy: how well the targets are known: a share of them, their standard errors, or the name of the column of
            a table that holds these.
        networks: whether networks are trained where no law is found otherwise, which takes most of the time; without a
            width.
        work: limit, >= 0, of the search for an exact law in operations, not in time: about as many as a core at 3 GHz
            does in so many seconds. The law does not depend on the speed of the machine. 0 leaves that search out.
        units: of all columns and the target, as {"a": "m", "T": "s"}, or "headers" (or True) for those in the names of
            the table, such as `T [s]`; "1" is that of numbers without. Then only formulas are returned in which units
            agree, with numbers that have units where these are needed. Needs pint: pip install "kan2[units]".

    Returns:
        the law, or the best approximation; `found` tells which. After Ctrl-C, or when time is over, the best so far;
        `report.interrupted`, or `report.out_of_time`, is true.

    Raises:
        OptionError: there is no such option.
        UnknownNameError: no such function in the library, no such column, or no such constant.
        ExpressionError: a guess or a template cannot be read.
        UnitError: a unit is missing or cannot be read, those of a guess do not agree, or pint is not installed.
        DataError: the data are none, or labels are missing or not of two classes.
        TrainingError: no network could be trained, or the value of an option is of the wrong type or out of range.
        KeyboardInterrupt: Ctrl-C came before there was anything to return.

    Example:
        >>> from kan2 import sample_function
        >>> data = sample_function("x*y", {"x": (-1, 1), "y": (-1, 1)}, n=300)
        >>> discover(data).formula
        x*y
    """
    from kan2._find import find

    options = dict(locals())
    del options["data"], options["width"], options["find"]
    options |= {name: _written(options[name]) for name in ("guesses", "templates")}
    return find(data, width, options)


def _written(given: Any) -> Any:
    """Returns guesses or templates with the formulas of networks and theories among them in their place."""
    several = list(given) if isinstance(given, list | tuple) else [given]
    if not any(hasattr(one, "spec") for one in several):
        return given
    from kanpiler.decompile import decompile  # and with it the compiler, which other searches do without

    found = [formula for one in several for formula in (_of_network(decompile, one) if hasattr(one, "spec") else [one])]
    return found


def _of_network(decompile: Callable[[Any], Any], one: Any) -> list[Any]:
    formula = decompile(one)
    return formula if isinstance(formula, list) else [formula]
