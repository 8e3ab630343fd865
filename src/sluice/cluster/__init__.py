"""Sluice in a cluster: what the controller is wired from, without the framework it runs in."""
