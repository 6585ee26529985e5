"""Attribution scores by their definition, with one loop for every index."""

import torch

from kan2 import MultKAN


@torch.no_grad()
def slow_scores(model: MultKAN, x: torch.Tensor, output: int) -> tuple[list, list, list]:
    """Returns edge, subnode and node scores of one output, as nested lists of floats."""
    nodes, record = model.features(x), []
    for layer in model.layers:
        record.append((layer, layer.edge_values(nodes), layer.subnodes(nodes)))
        nodes = layer(nodes)
    score = [float(i == output) for i in range(nodes.shape[1])]
    edges, subnodes, all_nodes = [], [], [score]
    for layer, values, sums in reversed(record):
        n_targets, n_sources = values.shape[1:]
        subnode = [0.0] * n_targets
        for node, group in enumerate(layer.spec.groups):
            for target in group:
                subnode[target] = score[node]
        edge = [[0.0] * n_sources for _ in range(n_targets)]
        for target in range(n_targets):
            total = float(sums[:, target].std(correction=0))
            for source in range(n_sources):
                if total > 1e-10:
                    edge[target][source] = subnode[target] * float(values[:, target, source].std(correction=0)) / total
        score = [sum(edge[target][source] for target in range(n_targets)) for source in range(n_sources)]
        edges.insert(0, edge)
        subnodes.insert(0, subnode)
        all_nodes.insert(0, score)
    return edges, subnodes, all_nodes
