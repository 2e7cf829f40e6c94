"""Who is at the door: faces followed over frames, readings that vote, visits that are counted once."""

from edge.people.tracker import PeopleTracker

__all__ = ["PeopleTracker"]
