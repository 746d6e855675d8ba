"""A heat map of correlations, by matplotlib."""

from __future__ import annotations

from typing import Any, List, Optional

__all__ = ["plot_correlation"]

WIDEST = 40.0  # inches of a figure


def plot_correlation(
    correlation: Any,
    *,
    ax: Any = None,
    title: Optional[str] = None,
    alpha: float = 0.05,
    everything: bool = False,
    cluster: bool = False,
) -> Any:
    """Draw coefficients as colours and numbers; return the matplotlib Axes.

    Red goes up together, blue goes against each other. Cells of categories are green and begin with η: the correlation
    ratio has no direction. Bold numbers have a corrected p-value below `alpha`.

    Parameters
    ----------
    correlation
        What `mida.correlation` returned.
    ax
        Where to draw; a new figure of a fitting size without it.
    title
        A title.
    alpha
        Corrected p-values below it make a number bold.
    everything
        Show also fields without any coefficient; else they are named below the map.
    cluster
        Put fields that behave alike beside each other (needs scipy); else they stand as they were asked for.
    """
    try:
        import matplotlib.pyplot as plt
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize
    except ImportError:
        raise ImportError("a heat map needs matplotlib: pip install matplotlib") from None
    values = correlation if everything else correlation.dropna(how="all").dropna(axis="columns", how="all")
    if cluster:
        values = values.loc[_clustered(values), _clustered(values.T)]
    rows, columns = list(values.index), list(values.columns)
    if not rows:
        raise ValueError("nothing to draw: no pair of fields has a coefficient; see the reasons attribute")
    if ax is None:
        size = (min(2.6 + 0.62 * len(columns), WIDEST), min(1.9 + 0.36 * len(rows), WIDEST))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    signed, unsigned = plt.get_cmap("RdBu_r"), plt.get_cmap("Greens")
    scale, half = Normalize(-1, 1), Normalize(0, 1.4)  # the darkest green would hide its number
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            value = values.loc[row, column]
            if value != value:
                colour, text = "#eeeeee", ""
            elif correlation.statistics.loc[row, column] == "eta":
                colour, text = unsigned(half(value)), f"η{value:.2f}".replace("0.", ".")
            else:
                colour, text = signed(scale(value)), f"{value:.2f}".replace("0.", ".")
            ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8))
            if text:
                known = correlation.q.loc[row, column] < alpha
                dark = correlation.statistics.loc[row, column] != "eta" and abs(value) > 0.65
                ax.text(
                    j,
                    i,
                    text,
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if dark else "black" if known else "#555555",
                    weight="bold" if known else "normal",
                )
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor", fontsize=8)
    ax.set_yticks(range(len(rows)), rows, fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(ScalarMappable(scale, signed), ax=ax, fraction=0.04, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    if title:
        ax.set_title(title, fontsize=10, loc="left")
    left = [f for f in (*correlation.index, *correlation.columns) if f not in rows and f not in columns]
    answer = correlation.answer
    note = f"{answer['read']} tasks, {answer['method']}; bold: q < {alpha:g} ({answer['correction']})"
    if left:
        note += f"\nwithout a coefficient: {', '.join(dict.fromkeys(left))}"
    ax.set_xlabel(note, fontsize=7, color="#555555", loc="left", wrap=True)
    return ax


def _clustered(values: Any) -> List[str]:
    """Return the row names in the order of the leaves of a hierarchical clustering by average distance."""
    try:
        from scipy.cluster.hierarchy import leaves_list, linkage
    except ImportError:
        raise ImportError("cluster=True needs scipy: pip install scipy") from None
    if len(values) < 3:
        return list(values.index)
    tree = linkage(values.fillna(0).to_numpy(), method="average", optimal_ordering=True)
    return [values.index[i] for i in leaves_list(tree)]
