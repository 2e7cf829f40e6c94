"""From a trained Keras model to the int8 TFLite file that the device runs, with proof that they agree."""
