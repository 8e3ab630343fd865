"""Adapters that ask and tell other systems: webhooks, commands, notifications."""
