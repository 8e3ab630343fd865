"""The same commands on a cluster: asked of the API server, answered by the controller."""
