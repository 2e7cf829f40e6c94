"""maskgate on the device: find faces, judge each one's mask, alert, count."""
