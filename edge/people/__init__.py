"""Who is at the door: faces followed over frames, readings that vote, visits that are counted once."""

from edge.people.tracker import PeopleTracker, Plan
from edge.people.tuning import Tuning

__all__ = ["PeopleTracker", "Plan", "Tuning"]
