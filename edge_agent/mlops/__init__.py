"""Making the detector: synthetic data, training, export, evaluation. Nothing here runs on the train."""
