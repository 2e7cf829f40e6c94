"""The commands of ``maskgate``, one file each, found by file name."""
