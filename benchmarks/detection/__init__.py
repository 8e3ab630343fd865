"""Requests to detect, false rollbacks and harm, beside the rules of other tools."""
