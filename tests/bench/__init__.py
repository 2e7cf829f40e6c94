"""What maskgate costs, and what others cost beside it: ``make bench``."""
