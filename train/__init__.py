"""Training of the two models, with Keras 3. Runs on a workstation, never on the device."""
