"""Revisions as Deployments: the platform of a cluster."""
