"""From pixels to faces and readings: the preprocessing shared with training, the decode, the classifier."""
