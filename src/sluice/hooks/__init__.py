"""Adapters that ask and tell other systems: webhooks, commands, notifications.

asker        one try of a gate's question, by its kind: webhook, http_check, commands
jobs         runs a program: a process of this machine
signing      who sent it: the headers of Standard Webhooks
outbox       news out: CloudEvents or a chat's text, queued per receiver (messages)
windows      freeze windows on the clock
memory       twins of hook, jobs and notifier for tests and rehearsals
"""
