"""What people look at: the kiosk page, the operator's page, and the HTTP server behind them.

The loop hands its newest status to a slot and its events to a ring; the server, in its own thread, looks there a
few times per second. Nothing of the server is imported before that thread runs.
"""
