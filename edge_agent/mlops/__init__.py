"""Machine learning: from synthetic or annotated pictures to a trained, exported, quantised and evaluated detector.

Nothing here runs on the train; everything blocks in the caller's thread, with processes or threads of its own where it
pays.
"""
