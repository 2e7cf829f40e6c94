"""Consumers of status and events: terminal, event log, counts, metrics, MQTT, web pages and window."""
