"""Changes the structure of networks by hand; every edit returns a new network, `choose` and `rewire` are under all."""
