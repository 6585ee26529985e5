"""Pictures of networks: the diagram, single activations, scores, the course of a training.

Every function returns a matplotlib Figure that belongs to nobody: no window, no file, no pyplot state. Save it with
`figure.savefig("net.svg")`; notebooks show it.
"""

from kan2.plotting.charts import plot_edge as plot_edge
from kan2.plotting.charts import plot_history as plot_history
from kan2.plotting.charts import plot_pareto as plot_pareto
from kan2.plotting.charts import plot_scores as plot_scores
from kan2.plotting.curves import get_fun as get_fun
from kan2.plotting.curves import get_range as get_range
from kan2.plotting.diagram import plot as plot
from kan2.plotting.film import Film as Film
