"""How many came, masked or not: an SQLite store on the device, its tables and its CSV.

No image and no identity is kept: a visit is when it began and ended and what was held of the person.
"""

from edge.config.place import store_path
from edge.sinks.counts.store import CountStore

__all__ = ["CountStore", "store_path"]
